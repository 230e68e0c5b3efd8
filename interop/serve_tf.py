"""TensorFlow's own gRPC server, to compare ours with: python serve_tf.py; prints READY and its target."""
import socket

import tensorflow.compat.v1 as tf


def main():
    with socket.socket() as free:
        free.bind(('localhost', 0))
        port = free.getsockname()[1]
    server = tf.train.Server({'localhost': [f'localhost:{port}']}, job_name='localhost', task_index=0)
    print('READY', server.target, flush=True)
    server.join()


if __name__ == '__main__':
    main()
