"""The lines of Python on a model card: the model used with transformers alone, predicting like `toolkit predict`."""

import json
from collections.abc import Callable

from toolkit.inference.generate import SPARE

TEXT = "A text of your own."
SECOND = "The text that goes with it."
PICTURE = "picture.jpg"
RECORDING = "recording.wav"

_CLASSIFIER = """
from transformers import pipeline

predict = pipeline({task}, model={name})
{lines}
"""

_ADAPTED_CLASSIFIER = """
from peft import AutoPeftModelForSequenceClassification
from transformers import AutoConfig, AutoTokenizer, pipeline

name = {name}
labels = AutoConfig.from_pretrained(name).id2label
model = AutoPeftModelForSequenceClassification.from_pretrained(name, num_labels=len(labels), id2label=labels)
predict = pipeline({task}, model=model.merge_and_unload(), tokenizer=AutoTokenizer.from_pretrained(name))
{lines}
"""

_RECORDING = """
import soundfile
from transformers import pipeline

predict = pipeline({task}, model={name})
samples, rate = soundfile.read({recording})  # of one channel
given = {{"raw": samples, "sampling_rate": rate}}  # another rate than the model's needs torchaudio
{lines}
"""

_TRANSCRIPTION = """
import soundfile
from transformers import pipeline

transcribe = pipeline({task}, model={name})
samples, rate = soundfile.read({recording})  # of one channel
print(transcribe({{"raw": samples, "sampling_rate": rate}})["text"])  # another rate than the model's needs torchaudio
"""

_OF_SOUND = {"audio-classification": _RECORDING, "automatic-speech-recognition": _TRANSCRIPTION}

_LOADED = {  # task → (imports, lines that load a model)
    "token-classification": (
        "from transformers import AutoModelForTokenClassification, AutoTokenizer",
        "model = AutoModelForTokenClassification.from_pretrained(name)",
    ),
    "translation": (
        "from transformers import AutoModelForSeq2SeqLM, AutoTokenizer",
        "model = AutoModelForSeq2SeqLM.from_pretrained(name)",
    ),
}

_LOADED_ADAPTER = {  # the same for an adapter; other tasks have no class in peft
    "text-classification": ("", ""),
    "token-classification": (
        "from peft import AutoPeftModelForTokenClassification\nfrom transformers import AutoConfig, AutoTokenizer",
        "labels = AutoConfig.from_pretrained(name).id2label\n"
        "model = AutoPeftModelForTokenClassification.from_pretrained("
        "name, num_labels=len(labels), id2label=labels\n).merge_and_unload()",
    ),
    "translation": (
        "from peft import AutoPeftModelForSeq2SeqLM\nfrom transformers import AutoTokenizer, GenerationConfig",
        "model = AutoPeftModelForSeq2SeqLM.from_pretrained(name).merge_and_unload()\n"
        "model.generation_config = GenerationConfig.from_pretrained(name)",
    ),
}

_TOKENS = """
{imports}

name = {name}
tokenizer = AutoTokenizer.from_pretrained(name, add_prefix_space=True)
{load}
words = {text}.split()
inputs = tokenizer(words, is_split_into_words=True, return_tensors="pt"{cut})
best = model(**inputs).logits[0].argmax(-1).tolist()
labels = {{}}  # of each word, by its first piece
for word, label in zip(inputs.word_ids(), best):
    labels.setdefault(word, model.config.id2label[label])
print([(word, labels.get(number, "O")) for number, word in enumerate(words)])
"""

_TRANSLATION = """
{imports}

name = {name}
tokenizer = AutoTokenizer.from_pretrained(name)
{load}
inputs = tokenizer({text}, return_tensors="pt"{cut})
longest = min({longest}, int({factor} * inputs["input_ids"].shape[1]) + {spare})
written = model.generate(**inputs, max_length=longest + 1)
print(tokenizer.decode(written[0]{behind}, skip_special_tokens=True).strip())
"""


_SCRIPT = """
import {{ pipeline }} from "@huggingface/transformers";

const predict = await pipeline({task}, {name}, {{ dtype: "{dtype}" }});
console.log(await predict({text}));
"""


def script(task: str, name: str, *, eight_bits: bool) -> str:
    """Return a program in JavaScript that predicts one text with the ONNX graph of a model.

    Args:
        task: The Hub's name of it: "text-classification".
        name: Of the model.
        eight_bits: Whether the graph in 8 bits is there; otherwise it is the one in 32-bit floats.
    """
    known = {"task": json.dumps(task), "name": json.dumps(name), "text": json.dumps(TEXT)}
    return _SCRIPT.format(**known, dtype="q8" if eight_bits else "fp32").lstrip()


def code(
    task: str,
    name: str,
    *,
    max_length: int | None = None,
    pairs: bool = False,
    prefix: str = "",
    length_factor: float = 2.0,
    forced: bool = False,
    adapter: bool = False,
    lines: Callable[[str], str] = "print(predict({}))".format,
) -> str | None:
    """Return a program that predicts one example; None for an adapter of a task that peft has no class for.

    Args:
        task: The Hub's name of it: "text-classification".
        name: Of the model: Hub id or folder.
        max_length: Tokens that are read, and of a translation written, at most.
        pairs: Whether two texts are classified together.
        prefix: Prefix of every text.
        length_factor: Tokens of a translation for each token of its source, at most.
        forced: Whether a translation starts with a language token, which some tokenizers do not skip.
        adapter: Whether the model is an adapter, loaded with peft.
        lines: Arguments of the pipeline `predict` → the lines that print a prediction, as of `Target.usage`.
    """
    loaded = _LOADED_ADAPTER if adapter else _LOADED
    if adapter and task not in loaded:
        return None
    imports, load = loaded.get(task, ("", ""))
    cut = f", truncation=True, max_length={max_length}" if max_length else ""
    text = json.dumps(TEXT, ensure_ascii=False)
    known = {"name": json.dumps(name, ensure_ascii=False), "cut": cut, "imports": imports, "load": load}
    if task == "token-classification":
        return _TOKENS.format(**known, text=text).lstrip()
    if task == "translation":
        prompt = f"{json.dumps(prefix, ensure_ascii=False)} + {text}" if prefix else text
        bounds = {"longest": max_length or 512, "factor": length_factor, "spare": SPARE}
        return _TRANSLATION.format(**known, **bounds, text=prompt, behind="[2:]" if forced else "").lstrip()
    of_sound = _OF_SOUND.get(task)
    if of_sound is not None:
        recording = json.dumps(RECORDING)
        return of_sound.format(**known, task=json.dumps(task), recording=recording, lines=lines("given")).lstrip()
    if task == "image-classification":
        given = json.dumps(PICTURE)
    elif pairs:
        given = f'{{"text": {text}, "text_pair": {json.dumps(SECOND)}}}{cut}'
    else:
        given = f"{text}{cut}"
    template = _ADAPTED_CLASSIFIER if adapter else _CLASSIFIER
    return template.format(**known, task=json.dumps(task), lines=lines(given)).lstrip()
