"""Explain an LSTM that classifies sentences, written as public tutorials write it.

python examples/explain_classifier.py

Words are good or bad, and "not" turns the word after it; the class is positive or negative. Printed are words with
their relevance for the class that the model chose.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from drf.lrp import Composite, attribute

WORDS = ["<pad>", "the", "film", "was", "good", "great", "bad", "dull", "not", "and"]
WORTH = torch.tensor([0, 0, 0, 0, 1, 1, -1, -1, 0, 0])
NOT = WORDS.index("not")
CLASSES = ["negative", "positive"]


class Sentiment(nn.Module):
    def __init__(self, words: int = len(WORDS), width: int = 8, hidden: int = 16) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, width, padding_idx=0)
        self.lstm = nn.LSTM(width, hidden, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(2 * hidden, 2)

    def forward(self, text: Tensor, lengths: Tensor) -> Tensor:
        packed = pack_padded_sequence(self.embedding(text), lengths.cpu(), batch_first=True, enforce_sorted=False)
        _, (h, _) = self.lstm(packed)
        return self.fc(torch.cat([h[-2], h[-1]], dim=1))


def draw(samples: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Sentences (n, 8), padded with 0, their lengths, and their class."""
    text = torch.randint(1, len(WORDS), (samples, 8), generator=generator)
    lengths = torch.randint(4, 9, (samples,), generator=generator)
    text[torch.arange(8) >= lengths[:, None]] = 0
    turned = torch.cat([torch.ones(samples, 1), torch.where(text[:, :-1] == NOT, -1.0, 1.0)], 1)
    score = (WORTH[text] * turned).sum(1)
    clear = score != 0
    return text[clear], lengths[clear], (score[clear] > 0).long()


def train(seed: int = 0, steps: int = 600) -> Sentiment:
    torch.manual_seed(seed)
    model, generator = Sentiment(), torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(steps):
        text, lengths, label = draw(256, generator)
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(text, lengths), label).backward()
        optimiser.step()
    return model.eval()


def main() -> None:
    model = train()
    text, lengths, label = draw(2000, torch.Generator().manual_seed(99))
    with torch.no_grad():
        chosen = model(text, lengths).argmax(1)
    print(f"accuracy {(chosen == label).double().mean():.3f}")
    sentences = [["the", "film", "was", "not", "bad"], ["not", "good", "and", "dull"], ["great", "and", "not", "dull"]]
    words = torch.tensor([[WORDS.index(word) for word in (*s, *["<pad>"] * (5 - len(s)))] for s in sentences])
    sizes = torch.tensor([len(sentence) for sentence in sentences])
    with torch.no_grad():
        chosen = model(words, sizes).argmax(1)
    account = attribute(
        model,
        words,
        sizes,
        target=chosen,
        composite=Composite(gate="shapley"),
        baseline=(torch.zeros_like(words), None),  # every word padding, its own length
    )
    for k, sentence in enumerate(sentences):
        told = "  ".join(f"{word} {account.relevances[0][k, place]:+.2f}" for place, word in enumerate(sentence))
        print(f"{CLASSES[chosen[k]]}: {account.output[k]:.2f} = {account.baseline[k]:.2f} + [ {told} ]")


if __name__ == "__main__":
    main()
