#!/usr/bin/env python3
"""Writes src/ops/op_definitions.txt, TensorFlow's op definitions one per line, from a text-format tensorflow.OpList.

    tools/op_definitions.py OPS.pbtxt > src/ops/op_definitions.txt

`op_definitions_test` holds every registered op against its line. Allowed values are sorted; floats are printed with %g.
With --cpp NAME... it prints the registration calls of the named ops instead, to start a new family from.
"""
import re
import sys

TOKEN = re.compile(r'\s+|#[^\n]*|([{}:])|("(?:[^"\\]|\\.)*")|([^\s{}:"#]+)')


def parse(text):
    """Text proto as nested lists of (field, value) pairs."""
    tokens = [m.group(0) for m in TOKEN.finditer(text) if m.lastindex]
    tokens.append('}')
    position = 0

    def message():
        nonlocal position
        fields = []
        while tokens[position] != '}':
            name = tokens[position]
            position += 1
            if tokens[position] == ':':
                position += 1
            if tokens[position] == '{':
                position += 1
                fields.append((name, message()))
                position += 1
            else:
                fields.append((name, tokens[position]))
                position += 1
        return fields

    return message()


def get(fields, name, default=None):
    return next((v for k, v in fields if k == name), default)


def get_all(fields, name):
    return [v for k, v in fields if k == name]


def unquote(text):
    return text[1:-1]  # nothing in op definitions is escaped beyond what the test escapes too


def dtype(name):
    base = name.removeprefix('DT_').lower()
    return base


def arg(fields):
    if get(fields, 'type_list_attr'):
        kind = unquote(get(fields, 'type_list_attr'))
    else:
        kind = unquote(get(fields, 'type_attr')) if get(fields, 'type_attr') else dtype(get(fields, 'type'))
        if get(fields, 'number_attr'):
            kind = f"{unquote(get(fields, 'number_attr'))} * {kind}"
    if get(fields, 'is_ref') == 'true':
        kind = f'Ref({kind})'
    return f"{unquote(get(fields, 'name'))}: {kind}"


def shape(fields):
    if get(fields, 'unknown_rank') == 'true':
        return '<unknown>'
    return '[' + ','.join(str(get(d, 'size', '0')) for d in get_all(fields, 'dim')) + ']'


def scalar(kind, value):
    if kind == 's':
        return value
    if kind == 'i':
        return value
    if kind == 'f':
        return '%g' % float(value)
    if kind == 'b':
        return value
    if kind == 'type':
        return value
    if kind == 'shape':
        return shape(value)
    if kind == 'func':
        return 'func(' + get(value, 'name', '') + ')'
    if kind == 'tensor':
        return 'tensor'
    raise ValueError(kind)


def default(fields):
    kind, value = fields[0]
    if kind == 'list':
        return '[' + ', '.join(scalar(k, v) for k, v in value) + ']'
    return scalar(kind, value)


def attr(fields):
    name, kind = unquote(get(fields, 'name')), unquote(get(fields, 'type'))
    allowed = get(fields, 'allowed_values')
    if allowed:
        values = get(allowed, 'list')
        if kind in ('type', 'list(type)'):
            names = '{' + ', '.join(sorted(dtype(v) for k, v in values)) + '}'
        else:
            names = '{' + ', '.join(sorted("'" + unquote(v) + "'" for k, v in values)) + '}'
        kind = f'list({names})' if kind.startswith('list') else names
    text = f'{name}: {kind}'
    if get(fields, 'has_minimum') == 'true':
        text += f" >= {get(fields, 'minimum', '0')}"
    if get(fields, 'default_value') is not None:
        text += f" = {default(get(fields, 'default_value'))}"
    return text


FLAGS = (('is_stateful', 'stateful'), ('is_commutative', 'commutative'), ('is_aggregate', 'aggregate'),
         ('allows_uninitialized_input', 'allows_uninitialized_input'))


def line(op):
    text = unquote(get(op, 'name'))
    text += '(' + ', '.join(arg(a) for a in get_all(op, 'input_arg')) + ')'
    text += ' -> (' + ', '.join(arg(a) for a in get_all(op, 'output_arg')) + ')'
    text += ' {' + '; '.join(attr(a) for a in get_all(op, 'attr')) + '}'
    for field, flag in FLAGS:
        if get(op, field) == 'true':
            text += ' ' + flag
    return text


def cpp(op):
    lines = [f'  registry.op({get(op, "name")})']
    for field, call in (('input_arg', 'input'), ('output_arg', 'output')):
        lines += [f'.{call}("{arg(a)}")' for a in get_all(op, field)]
    lines += ['.attr("' + attr(a).replace('"', "'") + '")' for a in get_all(op, 'attr')]
    lines += [f'.{flag}()' for field, flag in FLAGS if get(op, field) == 'true']
    return '\n      '.join(lines) + ';'


def main():
    with open(sys.argv[1], encoding='utf-8') as file:
        ops = {unquote(get(op, 'name')): op for op in get_all(parse(file.read()), 'op')}
    if sys.argv[2:3] == ['--cpp']:
        for name in sys.argv[3:]:
            print(cpp(ops[name]))
        return
    for name in sorted(ops):
        print(line(ops[name]))


if __name__ == '__main__':
    main()
