"""Cases of string ops, and of tensors inside strings."""
import zlib

import numpy as np
import tensorflow.compat.v1 as tf

from golden.record import finish_case, op_case, raw, rng_for, values

INVALID_ARGUMENT, OUT_OF_RANGE = 3, 11
TEXT = np.array([[b'Hello World', b''], [b'  Straight on ', b'\xc3\xa4\xc3\x96 \xe6\xbc\xa2']])
CLOCK = np.array([b'12:05', b'7:9', b'::'])


def changes(w):
    for op in ('StringLower', 'StringUpper'):
        op_case(w, op, TEXT)
        op_case(w, op, TEXT, label='utf8', encoding='utf-8')
    op_case(w, 'StringStrip', TEXT)
    for unit in ('BYTE', 'UTF8_CHAR'):
        op_case(w, 'StringLength', TEXT, label=unit.lower(), unit=unit)
        for position, length in ((0, 3), (1, 2), (-3, 2), (2, 0)):
            op_case(w, 'Substr', np.array([b'abcdef', b'\xc3\xa4\xc3\x96\xe6\xbc\xa2xyz']), np.int32(position), np.int32(length), unit=unit,
                    label=f'{unit.lower()}_{position}_{length}'.replace('-', 'minus_'))
    op_case(w, 'Substr', np.array([[b'abc', b'defg'], [b'hij', b'klm']]), np.array([1, 0], 'q'), np.array([2, 1], 'q'), label='broadcast')
    op_case(w, 'Substr', np.array([b'abc']), np.int32(4), np.int32(1), label='error_position', error=INVALID_ARGUMENT)
    op_case(w, 'Substr', np.array([b'abc', b'd']), np.array([0, 1, 2], 'i'), np.array([1, 1, 1], 'i'), label='error_shapes', error=INVALID_ARGUMENT)
    for pad in (False, True):
        op_case(w, 'EncodeBase64', np.array([b'', b'a', b'ab\xff\xfe', b'abc?>']), label=f'{pad}'.lower(), pad=pad)
    op_case(w, 'DecodeBase64', np.array([b'', b'YQ', b'YWL__g', b'YWJjPz4=']))
    op_case(w, 'DecodeBase64', np.array([b'a?']), label='error', error=INVALID_ARGUMENT)
    op_case(w, 'RegexFullMatch', CLOCK, np.array(rb'\d+:\d+', object), dtypes=[None, 'string'])
    op_case(w, 'RegexFullMatch', CLOCK, np.array(b'(', object), label='error', dtypes=[None, 'string'], error=INVALID_ARGUMENT)
    op_case(w, 'StaticRegexFullMatch', CLOCK, label='digits', pattern=r'[0-9:]+')
    for every in (False, True):
        op_case(w, 'RegexReplace', CLOCK, np.array(rb'(\d)', object), np.array(rb'<\1>', object), label=f'{every}'.lower(), replace_global=every,
                dtypes=[None, 'string', 'string'])
        op_case(w, 'StaticRegexReplace', CLOCK, label=f'{every}'.lower(), replace_global=every, pattern=':', rewrite=' past ')
    op_case(w, 'RegexReplace', CLOCK, np.array(b'[', object), np.array(b'', object), label='error', dtypes=[None, 'string', 'string'],
            error=INVALID_ARGUMENT)
    for op in ('StringToHashBucket', 'StringToHashBucketFast'):
        op_case(w, op, TEXT, num_buckets=1000)
        op_case(w, op, CLOCK, label='few', num_buckets=3)
    op_case(w, 'StringToHashBucketStrong', TEXT, num_buckets=1000, key=[12345, 2 ** 40 + 7])


def numbers(w):
    for dtype in ('float32', 'float64', 'int32', 'int64', 'bool', 'int8', 'complex64'):
        x = np.array([True, False]) if dtype == 'bool' else values(rng_for(dtype), [3], dtype, -20, 20)
        op_case(w, 'AsString', x, label=dtype)
    for label, x, attrs in (('precision', np.array([1.23456789, -100.0]), dict(precision=3)), ('scientific', np.array([12345.678, 1e-9], 'f'), dict(scientific=True)),
                            ('shortest', np.array([12345.678, 1e-9, 0.5], 'f'), dict(shortest=True)), ('width', np.array([5, -17], 'i'), dict(width=6)),
                            ('zeros', np.array([5, -17], 'q'), dict(width=6, fill='0')), ('left', np.array([1.5], 'f'), dict(width=12, fill='-', precision=2)),
                            ('odd', np.array([np.inf, -np.inf, np.nan], 'f'), {})):
        op_case(w, 'AsString', x, label=label, **attrs)
    texts = {'float32': [b'1.5', b'-2e3', b'inf', b' 7 '], 'float64': [b'0.1', b'1e300', b'-.5'], 'int32': [b'-12', b'2147483647', b'0'],
             'int64': [b'9223372036854775807', b'-1']}
    for dtype, text in texts.items():
        op_case(w, 'StringToNumber', np.array(text), label=dtype, out_type=dtype)
        for k, bad in enumerate((b'', b'1x', b'99999999999999999999')):
            if dtype.startswith('int') or k < 2:
                op_case(w, 'StringToNumber', np.array([bad]), label=f'error_{dtype}_{k}', out_type=dtype, error=INVALID_ARGUMENT)
    op_case(w, 'StringFormat', [values(rng_for('format'), [2, 3], 'i'), np.float32(1.5)], template='a={} b={}', placeholder='{}', label='two')
    op_case(w, 'StringFormat', [np.arange(20, dtype='i')], template='%t', placeholder='%t', summarize=2, label='long')
    op_case(w, 'StringFormat', [np.array([b'x', b'y'])], template='[{}]', placeholder='{}', label='strings')


def splitting(w):
    lines = np.array([b'a b  c', b'', b'd', b' e '])
    for delimiter in (b'', b' ', b':,'):
        for skip in (True, False):
            op_case(w, 'StringSplit', np.array([b'a b:c', b'', b'd,,e']), np.array(delimiter, object), label=f'{len(delimiter)}_{skip}'.lower(),
                    skip_empty=skip, dtypes=[None, 'string'])
    for separator, most in ((b'', -1), (b' ', -1), (b'', 1), (b'  ', 2)):
        op_case(w, 'StringSplitV2', lines, np.array(separator, object), label=f'{len(separator)}_{most}'.replace('-', 'minus_'), maxsplit=most,
                dtypes=[None, 'string'])
    grid = np.array([[b'a', b'b', b'c'], [b'd', b'', b'f']])
    for axes in ([0], [1], [0, 1], [1, 0], []):
        for keep in (False, True):
            op_case(w, 'ReduceJoin', grid, np.array(axes, 'i'), label='_'.join(map(str, axes)) + f'_{keep}'.lower(), keep_dims=keep, separator='-')
    op_case(w, 'ReduceJoin', grid, np.array([2], 'i'), label='error_axis', error=OUT_OF_RANGE)
    op_case(w, 'UnsortedSegmentJoin', np.array([b'a', b'b', b'c']), np.array([1, 0, 1], 'i'), np.int32(3), separator='+')
    op_case(w, 'UnsortedSegmentJoin', grid, np.array([1, 1], 'q'), np.int64(2), label='rows')
    op_case(w, 'UnsortedSegmentJoin', np.array([b'a']), np.array([3], 'i'), np.int32(3), label='error_index', error=INVALID_ARGUMENT)
    op_case(w, 'StringNGrams', np.array([b'a', b'b', b'c', b'd', b'e']), np.array([0, 3, 3, 5], 'q'), separator='|', ngram_widths=[1, 2], left_pad='<',
            right_pad='>', pad_width=1, preserve_short_sequences=False)
    op_case(w, 'StringNGrams', np.array([b'a', b'b', b'c']), np.array([0, 1, 3], 'i'), label='short', separator=' ', ngram_widths=[3], left_pad='', right_pad='',
            pad_width=0, preserve_short_sequences=True)
    op_case(w, 'StringJoin', [grid, np.array(b'!', object)], label='scalar', dtypes=[None, None])


def inside(w):
    """Tensors, numbers and tables written into strings."""
    for dtype in ('float32', 'int32', 'int64', 'bool', 'string', 'half', 'complex64'):
        x = np.array([[b'a', b'bc']]) if dtype == 'string' else values(rng_for('inside' + dtype), [2, 3], dtype)
        op_case(w, 'SerializeTensor', x, label=dtype)
        op_case(w, 'ParseTensor', np.array(tf.make_tensor_proto(x).SerializeToString(), object), label=dtype, dtypes=['string'],
                out_type=tf.as_dtype('string' if dtype == 'string' else x.dtype))
    op_case(w, 'ParseTensor', np.array(b'\x08', object), label='error_bytes', dtypes=['string'], out_type='float32', error=INVALID_ARGUMENT)
    op_case(w, 'ParseTensor', np.array(tf.make_tensor_proto([1.0]).SerializeToString(), object), label='error_type', dtypes=['string'], out_type='int32',
            error=INVALID_ARGUMENT)
    for dtype in ('uint8', 'int16', 'uint16', 'int32', 'int64', 'half', 'float32', 'float64', 'complex64', 'bool'):
        x = values(rng_for('raw' + dtype), [2, 4], dtype)
        rows = np.array([row.tobytes() for row in x], object)
        for little in (True, False) if dtype in ('int16', 'float32') else (True,):
            op_case(w, 'DecodeRaw', rows, label=f'{dtype}_{little}'.lower(), out_type=dtype, little_endian=little, dtypes=['string'])
        if dtype not in ('complex64', 'bool'):
            op_case(w, 'DecodePaddedRaw', np.array([x[0].tobytes(), x[1][:2].tobytes()], object), np.int32(x.itemsize * 5), label=dtype, out_type=dtype,
                    dtypes=['string', None])
    op_case(w, 'DecodePaddedRaw', np.array([b'abc'], object), np.int32(3), label='error_length', out_type='int16', dtypes=['string', None],
            error=INVALID_ARGUMENT)
    packed = zlib.compress(b'squeezed ' * 20)
    op_case(w, 'DecodeCompressed', np.array([packed, zlib.compress(b'')], object), label='zlib', compression_type='ZLIB', dtypes=['string'])
    op_case(w, 'DecodeCompressed', np.array([b'plain'], object), label='none', dtypes=['string'])

    def csv(label, records, defaults, error=0, **attrs):
        graph = tf.Graph()
        with graph.as_default():
            raw('DecodeCSV', [tf.constant(records), [tf.constant(d) for d in defaults]], attrs)
        finish_case(w, 'DecodeCSV', label, graph, [f'op:{k}' for k in range(len(defaults))], error=error)

    csv('types', [b'1,2.5,x,9', b'-3,1e2,"a,""b""",8'], [np.array([0], 'i'), np.array([0], 'f'), np.array([b'']), np.array([0], 'q')])
    csv('defaults', [b',,', b'4,,z'], [np.array([7], 'i'), np.array([0.5], 'd'), np.array([b'none'])])
    csv('delimiter', [b'1|2', b'3|4'], [np.array([0], 'q')] * 2, field_delim='|')
    csv('missing', [b'NA,5'], [np.array([1], 'i'), np.array([2], 'i')], na_value='NA')
    csv('selected', [b'1,2,3'], [np.array([0], 'i')] * 2, select_cols=[0, 2])
    csv('no_quotes', [b'"a,b"'], [np.array([b''])] * 2, use_quote_delim=False)
    csv('error_count', [b'1,2,3'], [np.array([0], 'i')] * 2, error=INVALID_ARGUMENT)
    csv('error_number', [b'x,2'], [np.array([0], 'i')] * 2, error=INVALID_ARGUMENT)
    csv('error_required', [b',2'], [np.zeros([0], 'i'), np.array([0], 'i')], error=INVALID_ARGUMENT)


MARKS = np.array([b'\xef\xbb\xbf*', b'\xfe\xff\0*', b'\xff\xfe*\0', b'*\xef\xbb\xbf', b'\0\0\xfe\xff\0\0\0*', b'\xff\xfe\0\0*\0\0\0',
                  b'\xfe\xff\xfe\xff\0*', b'\xff\xfe\0\xd8*\0', b'\xfe\xff', b'\xff\xfe', b'\xff', b''], object)


def unicode(w):
    """Byte order marks, encodings by all their names, and what to do with what is no character."""
    for encoding in ('UTF-8', 'UTF-16-BE', 'UTF-16-LE', 'utf16le', 'UTF-32-BE', 'UTF-32-LE'):
        label = encoding.lower().replace('-', '_') + ('_plain' if encoding == 'utf16le' else '')
        op_case(w, 'UnicodeTranscode', MARKS, label=label, input_encoding=encoding, output_encoding='UTF-8', errors='replace')
        op_case(w, 'UnicodeDecode', MARKS, label=label, input_encoding=encoding)
        op_case(w, 'UnicodeDecodeWithOffsets', MARKS, label=label, input_encoding=encoding)
    for encoding in ('UTF-16', 'UTF-32'):  # one string each: the order that the first one sets stays, in TensorFlow, for all of a tensor
        for number, text in enumerate(MARKS):
            op_case(w, 'UnicodeDecodeWithOffsets', np.array([text], object), label=f'{encoding}_{number}'.lower().replace('-', '_'), input_encoding=encoding)
    texts = {'ja': [b'\\~', b'\x83\x4f', b'\x87\x40', b'\x81\x60'], 'euc': [b'\xc6\xfc\xcb\xdc', b'a'], 'zh': [b'\xca\xf5', b'\xb3\xcc'],
             'tw': [b'\xb3\x4e', b'z'], 'ko': [b'\xc7\xd1\xb9\xce'], 'one': [b'\xe4\xf6', b'Az']}
    for encoding, text in (('shift_jis', 'ja'), ('SJIS', 'ja'), ('windows-31j', 'ja'), ('EUC-JP', 'euc'), ('euc_jp', 'euc'), ('gb18030', 'zh'), ('gb_2312', 'zh'),
                           ('big5', 'tw'), ('euc_kr', 'ko'), ('EUCKR', 'ko'), ('KOI8_R', 'one'), ('windows1251', 'one'), ('ISO_8859_2', 'one'),
                           ('latin1', 'one'), ('cp437', 'one'), ('US-ASCII', 'one')):
        op_case(w, 'UnicodeTranscode', np.array(texts[text], object), label=f'names_{encoding}', input_encoding=encoding, output_encoding='UTF-16-BE')
    broken = np.array([b'a\xffb', b'\xe2\x82', b'\xed\xa0\x80', b'\x01x'], object)
    for errors in ('replace', 'ignore'):
        for control in (False, True):
            op_case(w, 'UnicodeTranscode', broken, label=f'{errors}_{control}'.lower(), input_encoding='UTF-8', output_encoding='UTF-8', errors=errors,
                    replacement_char=ord('?'), replace_control_characters=control)
    op_case(w, 'UnicodeTranscode', broken, label='error_strict', input_encoding='UTF-8', output_encoding='UTF-8', errors='strict', error=INVALID_ARGUMENT)
    op_case(w, 'UnicodeTranscode', broken, label='error_encoding', input_encoding='no such', output_encoding='UTF-8', error=INVALID_ARGUMENT)
    codes, splits = np.array([0x41, 0x20ac, 0x1f600, 0xd800, 0x110000], 'i'), np.array([0, 1, 1, 5], 'q')
    for encoding in ('UTF-8', 'UTF-16-BE', 'UTF-32-BE'):
        op_case(w, 'UnicodeEncode', codes, splits, label=encoding.lower().replace('-', '_'), output_encoding=encoding)
    op_case(w, 'UnicodeEncode', codes, splits, label='error_strict', output_encoding='UTF-8', errors='strict', error=INVALID_ARGUMENT)
    op_case(w, 'UnicodeEncode', codes, np.array([0, 7], 'q'), label='error_splits', output_encoding='UTF-8', error=INVALID_ARGUMENT)


def make(w):
    unicode(w)
    changes(w)
    numbers(w)
    splitting(w)
    inside(w)
