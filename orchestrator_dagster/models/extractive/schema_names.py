"""What the name of a property says about its value."""

from __future__ import annotations

import re

from orchestrator_dagster.models.extractive.words import listed, name_words

_NAMES: dict[str, frozenset[str]] = {
    "title": listed("title titles headline headlines heading headings titel titre título"),
    "name": listed("name label"),
    "source": listed(
        """source sources document documents file files filename path citation citations reference references origin doc
        docs paper papers provenance quelle quellen fuente fuentes"""
    ),
    "url": listed("url urls link links uri website href webpage homepage"),
    "email": listed("email emails mail"),
    "date": listed("date dates published day datum fecha updated created deadline timestamp"),
    "year": listed("year years jahr"),
    "quote": listed(
        "quote quotes excerpt excerpts passage passages evidence quotation quotations snippet verbatim zitat"
    ),
    "term": listed(
        """keyword keywords term terms tag tags topic topics theme themes concept concepts keyphrase keyphrases subject
        thema"""
    ),
    "language": listed("language lang sprache"),
    "section": listed("section sections chapter chapters"),
    "summary": listed(
        """summary summaries abstract overview text content analysis discussion body introduction intro explanation
        result output response narrative context background detail details notes note message commentary
        synopsis brief tldr gist digest interpretation rationale reasoning reason justification
        zusammenfassung résumé resumen"""
    ),
    "description": listed("description definition meaning"),
    "report": listed("report article essay briefing markdown writeup bericht rapport informe"),
    "answer": listed("answer answers reply antwort"),
    "sentence": listed(
        """claim claims finding findings statement statements insight insights point points fact facts observation
        observations sentence sentences argument arguments takeaway takeaways highlight highlights assertion lesson
        lessons"""
    ),
    "cued": listed(
        """recommendation recommendations action actions risk risks challenge challenges limitation limitations benefit
        benefits conclusion conclusions cause causes problem problems advantage advantages gap gaps"""
    ),
    "quantity": listed(
        """temperature price cost amount distance percentage percent duration size budget height weight population area
        volume speed value measurement statistic statistics figure figures"""
    ),
    "question": listed("question questions query"),
    "absent": listed(
        """author authors address phone id identifier sentiment status currency country city gender organization
        organisation company person people license version isbn doi type kind severity tone code color colour publisher
        journal category mood username role"""
    ),
}
ROLES: dict[str, str] = {word: role for role, names in _NAMES.items() for word in names}

# How the sentences of a "cued" role speak. A text without such words has no recommendations, risks …
CUES: dict[str, str] = {
    "recommendation": (
        r"\b(?:should|must|ought|needs? to|recommend\w*|advis\w+|suggest\w*|soll\w*|müssen|doi(?:t|vent)|debe\w*)\b"
    ),
    "action": r"\b(?:should|must|needs? to|recommend\w*|plan\w*|will)\b",
    "risk": (
        r"\b(?:risk\w*|danger\w*|threat\w*|harm\w*|hazard\w*|vulnerab\w+|death\w*|loss\w*|risik\w+|risque\w*"
        r"|riesgo\w*)\b"
    ),
    "challenge": (
        r"\b(?:challeng\w+|difficult\w*|problem\w*|hard|obstacl\w+|barrier\w*|struggl\w+|lack\w*|limited"
        r"|compet\w+)\b"
    ),
    "problem": r"\b(?:problem\w*|difficult\w*|fail\w*|suffer\w*|damage\w*|lack\w*)\b",
    "limitation": r"\b(?:limit\w*|uncertain\w*|unclear|however|only|depend\w*|not enough|too few|small sample)\b",
    "gap": r"\b(?:unknown|unclear|lack\w*|missing|too few|not enough|little is known|gap\w*|further research)\b",
    "benefit": r"\b(?:benefit\w*|improv\w+|reduc\w+|lower\w*|save\w*|help\w*|cool\w*|gain\w*|protect\w*|better)\b",
    "advantage": r"\b(?:advantag\w+|benefit\w*|improv\w+|better|cheaper|faster|save\w*)\b",
    "conclusion": r"\b(?:conclu\w+|overall|in short|in sum\w*|therefore|shows? that|demonstrat\w+|suggests? that)\b",
    "cause": r"\b(?:because|caus\w+|due to|result\w* (?:from|in)|leads? to|driven by|weil|à cause|porque|debido)\b",
}
SCALES = (
    ("low", "medium", "high"),
    ("low", "moderate", "high"),
    ("poor", "fair", "good", "excellent"),
    ("weak", "moderate", "strong"),
)
STATISTIC = re.compile(
    r"(?i)score|relevan|coverage|quality|importance|rating|strength|confidence|reliab|support|credib|certain"
    r"|probab|trust"
    r"|priority"
)


def role_of(name: str, description: str) -> str:
    """What the name stands for: its last word that has a role, else the last such word that opens the description."""
    for word in reversed(name_words(name)):
        if word in ROLES:
            return ROLES[word]
    opening = re.split(
        r"(?i)[.;,(]|\b(?:of|about|for|from|in|on|with|that|which|supporting)\b", description, maxsplit=1
    )[0]
    found = [ROLES[word] for word in name_words(opening) if word in ROLES]
    return found[-1] if found and found[-1] not in ("absent", "question", "term") else ""
