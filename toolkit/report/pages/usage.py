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

_TOKENS = """
from transformers import AutoModelForTokenClassification, AutoTokenizer

name = {name}
tokenizer = AutoTokenizer.from_pretrained(name, add_prefix_space=True)
model = AutoModelForTokenClassification.from_pretrained(name)
words = {text}.split()
inputs = tokenizer(words, is_split_into_words=True, return_tensors="pt"{cut})
best = model(**inputs).logits[0].argmax(-1).tolist()
labels = {{}}  # of each word, by its first piece
for word, label in zip(inputs.word_ids(), best):
    labels.setdefault(word, model.config.id2label[label])
print([(word, labels.get(number, "O")) for number, word in enumerate(words)])
"""

_TRANSLATION = """
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

name = {name}
tokenizer, model = AutoTokenizer.from_pretrained(name), AutoModelForSeq2SeqLM.from_pretrained(name)
inputs = tokenizer({text}, return_tensors="pt"{cut})
longest = min({longest}, int({factor} * inputs["input_ids"].shape[1]) + {spare})
written = model.generate(**inputs, max_length=longest + 1)
print(tokenizer.decode(written[0]{behind}, skip_special_tokens=True).strip())
"""


def code(
    task: str,
    name: str,
    *,
    max_length: int | None = None,
    pairs: bool = False,
    prefix: str = "",
    length_factor: float = 2.0,
    forced: bool = False,
    lines: Callable[[str], str] = "print(predict({}))".format,
) -> str:
    """Return a program that predicts one example.

    Args:
        task: The Hub's name of it: "text-classification".
        name: Of the model: Hub id or folder.
        max_length: Tokens that are read, and of a translation written, at most.
        pairs: Whether two texts are classified together.
        prefix: Prefix of every text.
        length_factor: Tokens of a translation for each token of its source, at most.
        forced: Whether a translation starts with a language token, which some tokenizers do not skip.
        lines: Arguments of the pipeline `predict` → the lines that print a prediction, as of `Target.usage`.
    """
    cut = f", truncation=True, max_length={max_length}" if max_length else ""
    text = json.dumps(TEXT, ensure_ascii=False)
    known = {"name": json.dumps(name, ensure_ascii=False), "cut": cut}
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
    return _CLASSIFIER.format(**known, task=json.dumps(task), lines=lines(given)).lstrip()
