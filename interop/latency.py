"""What a step of a trivial graph costs a TensorFlow client, here and at TensorFlow's own server, in turns: python latency.py TARGET..."""
import sys
import time

import numpy as np
import tensorflow.compat.v1 as tf

tf.disable_v2_behavior()
STEPS, ROUNDS = 200, 7


def main():
    x = tf.placeholder(tf.float32, [])
    y = x + 1.0
    sessions = [(target, tf.Session(target, config=tf.ConfigProto(isolate_session_state=True))) for target in sys.argv[1:]]
    times = {target: [] for target in sys.argv[1:]}
    for round_ in range(ROUNDS + 1):
        for target, session in sessions:
            begin = time.perf_counter()
            for _ in range(STEPS):
                session.run(y, {x: 1.0})
            if round_:  # the first one warms up
                times[target].append((time.perf_counter() - begin) / STEPS * 1e6)
    for target, all_ in times.items():
        print(f'{target}: best {min(all_):.0f} us, median {np.median(all_):.0f} us per session.run')


if __name__ == '__main__':
    main()
