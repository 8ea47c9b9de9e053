"""Fine-tuning for classification with transformers and nothing of ours: what our scores are compared with."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch.utils.data import DataLoader
from transformers import AutoTokenizer, BertForSequenceClassification, get_linear_schedule_with_warmup

Row = tuple[tuple[str, ...], str]  # a text or a pair, and its label


def plain_scores(
    folder: Path, parts: Sequence[Sequence[Row]], *, seeds: int, rate: float, epochs: int, length: int
) -> list[float]:
    """Return the accuracy on the last part by seed, of the pass that does best on the second."""
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
