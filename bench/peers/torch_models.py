"""The workloads in PyTorch, each from the start values that TensorFlow's graph had, in the layouts that PyTorch likes best.

A model is made of the arrays by name and returns its loss; `optimizer` belongs to it.
"""
import numpy as np
import torch
import torch.nn.functional as F


class Model(torch.nn.Module):
    """Parameters by the names of TensorFlow's variables: dense kernels are transposed, convolutions channels-last."""

    def __init__(self, arrays):
        super().__init__()
        self.values = torch.nn.ParameterDict()
        for name, array in arrays.items():
            self.values[name.replace('.', '_')] = torch.nn.Parameter(self.laid_out(name, torch.from_numpy(np.array(array))))

    @staticmethod
    def laid_out(name, value):
        if name.endswith('kernel') and value.dim() == 2:
            return value.t().contiguous()
        if name.endswith('kernel') and value.dim() == 4:
            return value.permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)
        return value

    def dense(self, x, name):
        return F.linear(x, self.values[f'{name}/kernel'], self.values[f'{name}/bias'])

    def optimizer(self):
        return torch.optim.Adam(self.parameters(), self.rate, eps=1e-8, fused=True)

    rate = 1e-3

    def before_update(self):
        pass


class Perceptron(Model):
    def forward(self, x, y):
        count = sum(name.endswith('kernel') for name in self.values)
        for number in range(count):
            x = self.dense(x, f'layer{number}')
            if number + 1 < count:
                x = F.relu(x)
        return F.cross_entropy(x, y)


class Pictures(Model):
    """Images come as NHWC: a view of them is NCHW in channels-last memory."""

    def convolution(self, x, name, stride=1):
        kernel = self.values[f'{name}/kernel']
        size = kernel.shape[-1]
        if stride == 1:
            return F.conv2d(x, kernel, padding=size // 2)
        if size > 1:
            x = F.pad(x, (0, size - stride, 0, size - stride))  # SAME pads behind only
        return F.conv2d(x, kernel, stride=stride)


class Cnn(Pictures):
    rate = 1e-4

    def forward(self, x, y):
        x = x.permute(0, 3, 1, 2)
        for name in ('conv0', 'conv1'):
            x = F.conv2d(x, self.values[f'{name}/kernel'], self.values[f'{name}/bias'], padding=2)
            x = F.max_pool2d(F.relu(x), 2)
        x = F.relu(self.dense(x.permute(0, 2, 3, 1).flatten(1), 'hidden'))
        return F.cross_entropy(self.dense(x, 'logits'), y)


class ResNet20(Pictures):
    def normalized(self, x, name):
        return F.batch_norm(x, None, None, self.values[f'{name}/scale'], self.values[f'{name}/offset'], training=True, eps=1e-3)

    def forward(self, x, y):
        x = F.relu(self.normalized(self.convolution(x.permute(0, 3, 1, 2), 'stem'), 'stem'))
        for stage in range(3):
            for block in range(3):
                name, stride = f'stage{stage}_block{block}', 2 if stage > 0 and block == 0 else 1
                r = F.relu(self.normalized(self.convolution(x, f'{name}/first', stride), f'{name}/first'))
                r = self.normalized(self.convolution(r, f'{name}/second'), f'{name}/second')
                if stride == 2:
                    x = self.convolution(x, f'{name}/shortcut', 2)
                x = F.relu(x + r)
        return F.cross_entropy(self.dense(x.mean([2, 3]), 'logits'), y)

    def optimizer(self):
        return torch.optim.SGD(self.parameters(), 0.1, 0.9, fused=True)


class LanguageModel(torch.nn.Module):
    """torch.nn.LSTM orders the gates otherwise and has a second bias, which stays zero; the forget bias is in the first."""

    def __init__(self, arrays):
        super().__init__()
        kernel, bias = torch.from_numpy(arrays['lstm/kernel']), torch.from_numpy(arrays['lstm/bias'])
        units = kernel.shape[0] // 2
        write, value, forget, show = (slice(k * units, (k + 1) * units) for k in range(4))

        def ordered(matrix):
            return torch.cat([matrix[..., gate] for gate in (write, forget, value, show)], -1)

        self.embedding = torch.nn.Embedding.from_pretrained(torch.from_numpy(arrays['embedding']), freeze=False)
        self.lstm = torch.nn.LSTM(units, units, batch_first=True)
        self.lstm.weight_ih_l0.data = ordered(kernel[:units]).t().contiguous()
        self.lstm.weight_hh_l0.data = ordered(kernel[units:]).t().contiguous()
        first = ordered(bias)
        first[units:2 * units] += 1.0
        self.lstm.bias_ih_l0.data = first
        self.lstm.bias_hh_l0.data.zero_()
        self.lstm.bias_hh_l0.requires_grad_(False)
        self.logits = torch.nn.Linear(units, arrays['logits/bias'].shape[0])
        self.logits.weight.data = torch.from_numpy(arrays['logits/kernel']).t().contiguous()
        self.logits.bias.data = torch.from_numpy(arrays['logits/bias'])

    def forward(self, x, y):
        return F.cross_entropy(self.logits(self.lstm(self.embedding(x))[0]).flatten(0, 1), y.flatten())

    def optimizer(self):
        return torch.optim.SGD([p for p in self.parameters() if p.requires_grad], 1.0)

    def before_update(self):
        torch.nn.utils.clip_grad_norm_([p for p in self.parameters() if p.requires_grad], 5.0)


class Transformer(Model):
    def norm(self, x, name):
        return F.layer_norm(x, x.shape[-1:], self.values[f'{name}/scale'], self.values[f'{name}/offset'], eps=1e-6)

    def block(self, h, name):
        batch, length, width = h.shape
        z = self.norm(h, f'{name}/norm1')
        query, key, value = (self.dense(z, f'{name}/{part}').view(batch, length, 4, -1).transpose(1, 2) for part in ('query', 'key', 'value'))
        mixed = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(batch, length, width)
        h = h + self.dense(mixed, f'{name}/mix')
        z = F.gelu(self.dense(self.norm(h, f'{name}/norm2'), f'{name}/wide'), approximate='tanh')
        return h + self.dense(z, f'{name}/narrow')

    def forward(self, x, y):
        h = F.embedding(x, self.values['embedding']) + self.values['positions']
        for name in ('block0', 'block1'):
            h = self.block(h, name)
        return F.cross_entropy(self.dense(self.norm(h, 'norm'), 'logits').flatten(0, 1), y.flatten())


class Embedding(Model):
    def forward(self, x, y):
        h = F.embedding(x, self.values['embedding'], sparse=True).sum(1)
        logits = self.dense(F.relu(self.dense(h, 'layer0')), 'layer1')
        return F.binary_cross_entropy_with_logits(logits, y)

    def optimizer(self):
        return torch.optim.Adagrad(self.parameters(), 0.05, initial_accumulator_value=0.1)


MODELS = {
    'mlp_small': Perceptron,
    'mlp': Perceptron,
    'cnn': Cnn,
    'resnet20': ResNet20,
    'lstm': LanguageModel,
    'lstm_loop': LanguageModel,
    'transformer': Transformer,
    'embedding': Embedding,
}
