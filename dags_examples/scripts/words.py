"""What a word is, for `count_words.py`: a module of its own, which each executor imports."""

import re


def words_of(line):
    return re.findall(r"\w+", line.lower())
