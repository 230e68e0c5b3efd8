"""What a step of a trivial graph costs a TensorFlow client of these servers, in turns: python remote_step.py TARGET...; microseconds as JSON."""
import json
import statistics
import sys
import time

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
                assert session.run(y, {x: 1.0}) == 2.0
            if round_:  # the first one warms up
                times[target].append((time.perf_counter() - begin) / STEPS * 1e6)
    print(json.dumps({target: statistics.median(all_) for target, all_ in times.items()}))


if __name__ == '__main__':
    main()
