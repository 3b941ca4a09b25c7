"""Words: how text is cut into them, which of them say nothing, and a light stem under which forms of one word meet.

The stop word lists are short on purpose: function words of English, German, French and Spanish. A text in another
language still works; it just has no stop words, and the ranking's document frequencies do that work alone.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

_WORD = re.compile(r"\w+(?:['’\-]\w+)*")
_PIECE = re.compile(r"\w+|[^\w\s]")
# Scripts that are written without blanks: two neighbouring signs stand for a word there.
_UNSPACED = re.compile("[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]{2,}")
_ELISION = re.compile(r"(?i)^(?:[cdjlmnst]|qu)['’](?=\w)")


def listed(text: str) -> frozenset[str]:
    """A set of words from a text with blanks between them."""
    return frozenset(text.split())


STOP_WORDS: dict[str, frozenset[str]] = {
    "en": listed(
        """a about above across after again against all almost along already also although always am among an and
        any anything are aren't around as at back be became because become becomes been before behind
        being below beneath beside besides beyond best better between both but by came can can't cannot
        come could couldn't did didn't do does doesn't doing don't despite done down due during each
        either else enough especially etc even ever every everything few first for from further gave get
        gets give given gives go goes going good got great had has hasn't have haven't having he hence
        her here hers herself him himself his how however i if in indeed instead into is isn't it it's
        its itself just keep kept largely last later least less let like likely little long lot made
        mainly make makes making many may me mean means meanwhile might mine more moreover most mostly
        much must my myself near nearly need needs neither never new next no nor not nothing now of off
        often old on once one only onto or other others otherwise our ours ourselves out over own per
        perhaps put quite rather really recent recently said same say says second see seem seems seen
        several shall she should shouldn't since so some something soon still such take taken takes than
        that that's the their theirs them themselves then there thereby therefore these they thing
        things this those though three through throughout thus to together too took toward towards two
        typical typically under unless until up upon us use used uses using usually various very via was
        wasn't way ways we well went were weren't what when where whereas whether which while who whom
        whose why will with within without won't would wouldn't yes yet you your yours yourself"""
    ),
    "de": listed(
        """aber alle allem allen aller alles als also am an andere anderen anderer anderes auch auf aus bei beim
        bereits bin bis bist da dabei dadurch dafür damit danach dann das dass dazu dein deine dem den denn dennoch
        der deren des dessen deshalb die dies diese diesem diesen dieser dieses doch dort du durch ein eine einem
        einen einer eines einige einigen er erst es etwa etwas euch für gegen gibt hat hatte hatten haben hier hin
        hinter ich ihm ihn ihnen ihr ihre ihrem ihren ihrer im immer in indem ins ist ja jede jedem jeden jeder jedes
        jedoch kann kein keine keinem keinen keiner können könnte man manche mehr mein meine mich mir mit möglich muss
        müssen nach nicht nichts noch nun nur ob oder ohne schon sehr sein seine seinem seinen seiner seit sich sie
        sind so sogar solche sollte sondern sowie sowohl über um und uns unser unter viel viele vielen vom von vor
        war waren warum was weder weil weiter welche welcher wenn wer werden wie wieder will wir wird wo wurde wurden
        während wäre zu zum zur zwar zwischen"""
    ),
    "fr": listed(
        """afin ai ainsi alors après au aucun aucune aussi autre autres aux avant avec avoir beaucoup bien car ce ceci
        cela celle celles celui cependant ces cet cette ceux chaque chez ci comme comment contre dans de depuis des
        donc dont du elle elles en encore entre est et étaient était été être eu eux fait faire font hors il ils je
        jusque la là le les leur leurs lors lorsque lui mais me même mêmes moins mon ne ni non nos notre nous on ont
        ou où par parce parmi pas pendant peu peut peuvent plus plusieurs pour pourquoi près puis quand que quel
        quelle quelles quels qui quoi sa sans se selon sera ses si son sont sous souvent sur ta tandis te tes toi ton
        toujours tous tout toute toutes très tu un une vers vos votre vous y"""
    ),
    "es": listed(
        """a además al algo algunas algunos ante antes aquel aquella así aún aunque bajo bien cada casi como con contra
        cual cuales cuando cuanto de del desde después donde dos durante e el él ella ellas ellos en entre era eran es
        esa ese eso esta está están estas este esto estos fue fueron gran ha hace han hasta hay la las le les lo los
        mas más me mediante menos mi mientras mismo mucho muchos muy nada ni no nos nosotros nuestra nuestro o otra
        otras otro otros para pero poco por porque pues puede pueden que qué quien se sea según ser si sí sido sin
        sino sobre solo son su sus también tan tanto te tiene tienen toda todas todo todos tras tu un una uno unos y
        ya yo"""
    ),
}

# What an instruction says about the task and not about its subject: no topic words.
TASK_WORDS: frozenset[str] = listed(
    """abstract according accurate analyse analysis analyze answer answers article articles attached available base
    based brief briefing briefly bullet bullets cite claim claims clear collect collection combine compare
    complete comprehensive concise conclusion content contents context cover create data describe description
    detail detailed details determine discuss discussion document documents draft each emphasis essay every
    evaluate explain explanation extract extracted file files final find finding findings focus focused
    following format formatted generate given headings highlight identify important include including
    information input introduction items json key keyword keywords know length list lists main markdown material
    maximum mention minimum name note notes number only order organize output overview page pages paragraph
    paragraphs phrase phrases please point points precise prepare present prose provide provided question
    questions quote quotes read reader relevant report reports research respond response result results return
    review section sections select sentence sentences short show single sort source sources specific state
    statement statements structure structured style suitable summaries summarise summarised summarize summarized
    summary supporting table task tell term terms text texts three title tone top topic topics two understand
    using want what words word write writing written yaml your antworte aufgabe bericht beantworte beschreibe
    dokument dokumente dokumenten erkläre erstelle fasse folgende folgenden frage gib kurz kurze kurzen liste
    nenne satz sätze sätzen schreibe stichpunkte text texte texten thema themen wichtigsten wörter zusammen
    zusammenfassung bitte quellen schlüsselwörter courte court document documents donne écris fais liste mots
    clés paragraphe phrases principaux principales question rapport rédige résume résumé réponds sujet suivant
    suivants texte textes thème breve clave documento documentos escribe frases haz informe lista oraciones
    palabras párrafo pregunta principales resume resumen responde siguiente siguientes tema temas texto textos"""
)

NEGATIONS: frozenset[str] = listed(
    """no not never none neither nor without cannot can't don't doesn't didn't isn't aren't wasn't weren't won't
    wouldn't shouldn't couldn't hasn't haven't hardly lack lacks lacking absent nicht kein keine keinem keinen
    keiner nie niemals ohne weder ne pas jamais sans aucun aucune ni nunca sin ningún ninguna tampoco jamás"""
)


def words(text: str) -> list[str]:
    """The words of a text, as they are written. Scripts without blanks give pairs of neighbouring signs."""
    found: list[str] = []
    for word in _WORD.findall(text):
        if word.isascii() or not _UNSPACED.search(word):
            found.append(word)
        else:
            found.extend(word[at : at + 2] for at in range(len(word) - 1))
    return found


@lru_cache(maxsize=65536)
def plain(word: str) -> str:
    """A word for look-ups: composed, lower case, without a French elision (``l'``) or an English ``'s``."""
    folded = unicodedata.normalize("NFC", word).lower().replace("’", "'")
    folded = _ELISION.sub("", folded)
    return folded[:-2] if folded.endswith("'s") else folded


def without_elision(word: str) -> str:
    """A French word without the ``l'`` or ``d'`` before it."""
    return _ELISION.sub("", word)


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """A light stem of a plain word: plural, ``-ing``, ``-ed`` and a final ``-e`` go (trees → tre, shading → shad).

    Not linguistics, only enough for ``cool``, ``cools``, ``cooled`` and ``cooling`` to meet.
    """
    if not word.isalpha() or len(word) < 4:
        return word
    if word.endswith("ies") and len(word) > 4:
        word = word[:-3] + "y"
    elif word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for ending in ("ing", "ed"):
        rest = word[: -len(ending)]
        if word.endswith(ending) and len(rest) > 2 and re.search("[aeiouyäöü]", rest):
            word = rest[:-1] if len(rest) > 3 and rest[-1] == rest[-2] and rest[-1] not in "lsz" else rest
            break
    return word[:-1] if word.endswith("e") and len(word) > 3 else word


def language(text: str) -> str:
    """``en``, ``de``, ``fr`` or ``es``, by its stop words in the first 20,000 characters; ``en`` when none is found."""
    counts = Counter(word.lower() for word in _WORD.findall(text[:20_000]))
    hits = {code: sum(counts[word] for word in known) for code, known in STOP_WORDS.items()}
    return max(hits, key=lambda code: (hits[code], code == "en", code))


def stop_words(languages: Iterable[str]) -> frozenset[str]:
    """The stop words of these languages and of English, which stands in texts of every language."""
    return STOP_WORDS["en"].union(*(STOP_WORDS[code] for code in sorted(set(languages))))


def content_stems(text: str, stops: frozenset[str]) -> list[str]:
    """Stems of the words that say something, in order: no stop words, no single signs; ``heat-related`` is two."""
    found = []
    for word in words(text):
        base = plain(word)
        # "heat-related" is about heat; "can't" is one word.
        for part in base.split("-") if "-" in base else (base,):
            if len(part) > 1 and part not in stops:
                found.append(stem(part))
    return found


def count_tokens(text: str) -> int:
    """Tokens as this model counts them: each word and each punctuation sign is one."""
    return sum(1 for _ in _PIECE.finditer(text))


def token_end(text: str, limit: int) -> int:
    """The character after the token number ``limit``, or the text's length when it has fewer."""
    for number, piece in enumerate(_PIECE.finditer(text), start=1):
        if number == limit:
            return piece.end()
    return len(text)


def name_words(name: str) -> list[str]:
    """The words of a property's name: ``sourceCount``, ``source_count`` and ``source-count`` are ``source count``."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    return [word.lower() for word in re.findall(r"[^\W_]+", apart)]
