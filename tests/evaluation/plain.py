"""Fine-tuning for classification with transformers and without bertlab, for comparison with our scores.

    python -m tests.evaluation.plain FOLDER train=a.jsonl test=b.jsonl most=2000 rate=3e-4 epochs=4 seeds=3

trains the weights in FOLDER on the same rows as `tasks=[{train: a.jsonl, test: b.jsonl, kind: classification}]` would.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader
from transformers import AutoTokenizer, BertForSequenceClassification, get_linear_schedule_with_warmup

from bertlab.tasks.kind import label
from bertlab.tasks.parts import PARTS, Source, divided

Row = tuple[tuple[str, ...], str]  # a text or a pair, and its label


def plain_scores(
    folder: Path, parts: Sequence[Sequence[Row]], *, seeds: int, rate: float, epochs: int, length: int
) -> list[float]:
    """Return the accuracy on the last part by seed, after the pass with the best accuracy on the second part."""
    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    names = sorted({label for _, label in parts[0]})

    def collate(rows: Sequence[Row]) -> dict[str, torch.Tensor]:
        columns = [list(column) for column in zip(*(texts for texts, _ in rows), strict=True)]
        batch = tokenizer(*columns, truncation=True, max_length=length, padding=True, return_tensors="pt")
        return {**batch, "labels": torch.tensor([names.index(label) for _, label in rows])}

    def accuracy(model: torch.nn.Module, rows: Sequence[Row]) -> float:
        model.eval()
        with torch.no_grad():
            hits = [
                (model(**batch).logits.argmax(1) == batch["labels"]).float()
                for batch in DataLoader(rows, 64, collate_fn=collate)  # type: ignore[arg-type]
            ]
        return float(torch.cat(hits).mean())

    def score(seed: int) -> float:
        torch.manual_seed(seed)
        model = BertForSequenceClassification.from_pretrained(str(folder), num_labels=len(names))
        loader = DataLoader(parts[0], 32, shuffle=True, collate_fn=collate)  # type: ignore[arg-type]
        optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.01)
        total = epochs * len(loader)
        schedule = get_linear_schedule_with_warmup(optimizer, total // 10, total)
        found = []
        for _ in range(epochs):
            model.train()
            for batch in loader:
                optimizer.zero_grad()
                model(**batch).loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                schedule.step()
            found.append((accuracy(model, parts[1]), accuracy(model, parts[2])))
        return max(found, key=lambda pair: pair[0])[1]

    return [score(seed) for seed in range(seeds)]


def main(folder: str, *words: str) -> None:
    """Print the accuracy of each seed, their mean and its standard error over seeds."""
    said = {"most": "2000", "rate": "3e-4", "epochs": "4", "seeds": "3", "length": "64"}
    said |= dict(word.split("=", 1) for word in words)
    files = {"" if part == "file" else part: Path(said[part]) for part in ("file", *PARTS) if part in said}
    parts = divided(Source(files).rows([]), int(said["most"]))
    found = plain_scores(
        Path(folder),
        [[((row.text("text"),), label(row, "label")) for row in getattr(parts, part)] for part in PARTS],
        rate=float(said["rate"]),
        **{name: int(said[name]) for name in ("seeds", "epochs", "length")},
    )
    error = np.std(found, ddof=1) / len(found) ** 0.5
    print(" ".join(f"{score:.4f}" for score in found), f"mean {np.mean(found):.4f}, of seeds {error:.4f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
