#!/usr/bin/env python3
"""Writes src/ops/unicode_scripts.inc: where in Unicode the script changes, as TensorFlow's UnicodeScript tells it (ICU's numbers).

    TF_PYTHON tools/make_unicode_scripts.py > src/ops/unicode_scripts.inc      # a Python with tensorflow-cpu 2.21.0
"""
import textwrap

import numpy as np
import tensorflow.compat.v1 as tf

tf.disable_v2_behavior()
with tf.Session() as session:
    scripts = session.run(tf.strings.unicode_script(np.arange(0x110000, dtype='i')))
changes = [0] + [int(i) + 1 for i in np.flatnonzero(np.diff(scripts))]
print(f'// By tools/make_unicode_scripts.py, TensorFlow {tf.__version__}. From each code point on, the script up to the next.')
print(textwrap.fill(' '.join(f'{{0x{first:x},{scripts[first]}}},' for first in changes), 118, break_on_hyphens=False))
