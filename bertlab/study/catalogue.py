"""The catalogue: every question that bertlab answers, from a list of questions and answers about BERT of 2021.

A question of kind `study` is answered by experiment, in sweeps/study/<id>.yaml; its parts are files whose names start
with its id. A question of kind `fact` is a property of the code that a test checks. Some are both.
"""

from dataclasses import dataclass
from pathlib import Path

from bertlab.config.compose import conf_folders, sweep_folders
from bertlab.config.own_files import check_files


@dataclass(frozen=True)
class Question:
    """One row. `number` is its place: text, BERT 1 to 16, Transformer 1 to 6, self-attention 0 to 6."""

    id: str
    number: str
    words: str
    study: bool = True
    fact: bool = False


def _only_fact(name: str, number: str, words: str) -> Question:
    return Question(name, number, words, study=False, fact=True)


CATALOGUE = (
    Question(
        "multitask", "text", "BERT learns masked tokens and sentence pairs at once; does each task need the other?"
    ),
    Question("mask_rate", "BERT 4", "Why are 15 % of the tokens predicted, and could it be another share?"),
    Question("mask_policy", "BERT 3", "80 % become [MASK], 10 % a random token, 10 % stay; what is each case for?"),
    Question("mask_mismatch", "text", "With [MASK] alone, does a model meet unmasked text as something it never saw?"),
    Question("random_tokens", "text", "Do random tokens force a contextual representation of every token?"),
    Question("random_noise", "text", "Is replacing 1.5 % of all tokens at random negligible?"),
    Question("prediction_rate", "text", "Does BERT converge slowly because only 15 % of the tokens are predicted?"),
    Question("cls", "BERT 1", "Why does [CLS] stand in front?"),
    Question("embeddings", "BERT 2", "Does it hurt to sum three embeddings?", fact=True),
    Question("finetune", "BERT 5", "How is BERT fine-tuned for a task, and what does pre-training give it?"),
    Question("length", "BERT 6", "Why at most 512 tokens and two sentences?", fact=True),
    Question("nonlinearity", "BERT 7", "Where does BERT's non-linearity come from; is attention linear?", fact=True),
    Question("polysemy", "BERT 8", "How does BERT tell the senses of a word apart?"),
    _only_fact("inputs", "BERT 9", "Which inputs are required, and what are the defaults of the others?"),
    Question("warmup", "BERT 10", "What is warm-up, and why is it needed?"),
    Question("norm", "BERT 11", "LayerNorm or BatchNorm, and what do its parameters do?", fact=True),
    Question("bidirectional", "BERT 12", "Why is ELMo pseudo-bidirectional and BERT truly so?"),
    Question("encoder_diff", "BERT 13", "How does BERT differ from the encoder of the Transformer, and why?"),
    Question("loss", "BERT 14", "What is the loss?", fact=True),
    Question("task_order", "BERT 15", "Are both tasks learned in turn, alternately or together?"),
    _only_fact("count", "BERT 16", "How many self-attentions are in BERT-base?"),
    Question("sharing", "Transformer 1", "Where are weights shared, why is that possible, what does it buy?"),
    Question("scale", "Transformer 2", "Why are dot products divided by the square root of the head width?"),
    _only_fact("head_cost", "Transformer 3", "Do several heads cost more time than one?"),
    Question("heads", "Transformer 4", "What does multi-head attention buy?"),
    Question("encoder_decoder", "Transformer 5", "How do encoder and decoder interact?"),
    Question("head_dim", "Transformer 6", "Why is the width divided among the heads?"),
    Question("attention_fc", "self-attention 0", "How do attention and a fully connected layer differ?", fact=True),
    _only_fact("attention_steps", "self-attention 1", "What are the steps of self-attention?"),
    Question("no_qkv", "self-attention 2", "What goes wrong without the Q, K, V matrices?", fact=True),
    Question("key_value", "self-attention 3", "May keys and values be the same in self-attention?"),
    Question("padding", "self-attention 4", "How is padding masked?", fact=True),
    Question("score_masking", "self-attention 5", "Why not hide a word by blocking its attention scores?", fact=True),
    Question("diagonal", "self-attention 6", "Why not let attention hide from each word only itself?", fact=True),
)


def study_files() -> dict[str, Path]:
    """Return the studies by id, grouped by question, then those of the user's own folder.

    Raises InputError for a file there that is not a study.
    """
    check_files(conf_folders(), sweep_folders())
    return {path.stem: path for folder in sweep_folders() for path in sorted((folder / "study").glob("[!_]*.yaml"))}


def question_of(study: str) -> Question | None:
    """Return the question of a study: the one with its name, or with a prefix of its name."""
    own = [question for question in CATALOGUE if study == question.id or study.startswith(f"{question.id}_")]
    return max(own, key=lambda question: len(question.id), default=None)
