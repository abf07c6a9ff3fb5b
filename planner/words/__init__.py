"""What planner says, in the languages it speaks: sentences by code, beside the values that stand in them.

Rooms below return `say(code, **values)`. That is an English text, and knows what it says, so that `worded` says it in
another language. What draws a page or a terminal says `said(code, **values)`, in the language of `speak`. Each
language is one file here, `en.json`, `zh.json`: a group of codes for each room that speaks, and the forms of its
quantities. `sentence._Filler` lists how a template writes a value.
"""

from planner.words.language_choice import speak, speak_on
from planner.words.languages import speaking, spoken
from planner.words.sentence import Sentence, phrase, restored, said, said_in, say, say_from, worded

__all__ = [
    "Sentence",
    "phrase",
    "restored",
    "said",
    "said_in",
    "say",
    "say_from",
    "speak",
    "speak_on",
    "speaking",
    "spoken",
    "worded",
]
