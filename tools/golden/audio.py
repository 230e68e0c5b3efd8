"""Cases of sound files."""
import struct

import numpy as np

from .record import op_case, rng_for, values

INVALID_ARGUMENT = 3


def wav(samples, channels=1, rate=8000, kind=1, bits=16, extra=b'', format_size=16, riff=b'RIFF', wave=b'WAVE', frame_bytes=None, second_bytes=None):
    data = np.array(samples, '<i2').tobytes()
    frame_bytes = channels * bits // 8 if frame_bytes is None else frame_bytes
    second_bytes = rate * channels * bits // 8 if second_bytes is None else second_bytes
    form = struct.pack('<HHIIHH', kind, channels, rate, second_bytes, frame_bytes, bits) + b'\0' * (format_size - 16)
    body = wave + b'fmt ' + struct.pack('<I', format_size) + form + extra + b'data' + struct.pack('<I', len(data)) + data
    return riff + struct.pack('<I', len(body)) + body


def make(w):
    rng = rng_for('audio')
    plain = wav([0, 16384, -32768, 32767])
    stereo = wav(rng.randint(-32768, 32768, [6]), channels=2, rate=44100)
    for label, file in (('mono', plain), ('stereo', stereo), ('three', wav([1, 2, 3], channels=3)), ('empty', wav([])), ('rate_0', wav([1], rate=0)),
                        ('other_chunk', wav([1, 2], extra=b'LIST\4\0\0\0abcd')), ('chunk_behind', plain + b'LIST\4\0\0\0abcd'), ('long_format', wav([1, 2], format_size=18))):
        op_case(w, 'DecodeWav', np.array(file, object), label=label, dtypes=['string'])
    for channels in (0, 1, 2, 3):
        op_case(w, 'DecodeWav', np.array(stereo, object), label=f'channels_{channels}', dtypes=['string'], desired_channels=channels)
    for samples in (0, 1, 9):
        op_case(w, 'DecodeWav', np.array(stereo, object), label=f'samples_{samples}', dtypes=['string'], desired_samples=samples)
    for label, file in (('kind', wav([1], kind=3)), ('bits', wav([1], bits=8)), ('channels', wav([1], channels=0)), ('format', wav([1], format_size=40)), ('cut', plain[:-1]), ('cut_header', plain[:20]),
                        ('nothing', b''), ('riff', wav([1], riff=b'RIFX')), ('wave', wav([1], wave=b'WAVX')), ('no_data', plain[:36]), ('frame_bytes', wav([1], frame_bytes=4)),
                        ('second_bytes', wav([1], second_bytes=4)), ('two', plain + b'data\2\0\0\0\5\0'), ('more', plain + b'ab'), ('long_chunk', wav([1], extra=b'LIST\xff\xff\xff\xffabcd'))):
        op_case(w, 'DecodeWav', np.array(file, object), label=f'error_{label}', dtypes=['string'], error=INVALID_ARGUMENT)
    for label, sound, rate in (('mono', values(rng, [5, 1], 'float32', -1, 1), 8000), ('stereo', values(rng, [4, 2], 'float32', -1, 1), 44100), ('empty', np.zeros([0, 1], 'f'), 1),
                               ('cut', np.array([[2, -2], [1, -1], [.5 / 32768, -.5 / 32768]], 'f'), 16000)):
        op_case(w, 'EncodeWav', sound, np.int32(rate), label=label)
    for label, sound, rate in (('rank', np.zeros([2], 'f'), 8000), ('channels', np.zeros([2, 0], 'f'), 8000), ('rate', np.zeros([1, 1], 'f'), 0), ('negative_rate', np.zeros([1, 1], 'f'), -5)):
        op_case(w, 'EncodeWav', sound, np.int32(rate), label=f'error_{label}', error=INVALID_ARGUMENT)
