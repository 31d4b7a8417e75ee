"""What a text asks to be done: a verb of doing where an order begins, and what it is to be done to.

What counts is where a word stands: *pay* at the beginning of a clause, or after *please* or *you must*, is asked for; in *the pay was
late* it is not. The verbs are those of the effects that tools declare, in seven languages, and those of the tool's own name. A text in another
language asks for nothing here; the values that it holds are found all the same.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import islice
from typing import Final, NamedTuple

from stopwork.ledger.words import EffectKind

_VERBS: Final[dict[EffectKind, str]] = {
    EffectKind.READ: (
        "read open fetch get visit browse load look check download retrieve search request query call follow click "
        "öffne lies rufe lade ouvre lis va abre lee visita apri leggi lees haal lê"
    ),
    EffectKind.SEND: (
        "send email mail e-mail forward message reply respond answer notify text post share invite write tell cc bcc transmit "
        "sende senden schick schicke schicken leite weiterleiten antworte antworten antwortet beantworte "
        "beantworten beantwortet envoie envoyez envoyer transfère transférez réponds répondez répondre "
        "envía envíe enviar manda mande reenvía reenvíe responde responder contesta conteste contestar "
        "invia inviare inoltra rispondi rispondete rispondere envie enviem encaminhe "
        "responda stuur verstuur antwoord antwoorden beantwoord beantwoorden"
    ),
    EffectKind.PAY: (
        "pay transfer send wire transact remit refund deposit withdraw reimburse settle "
        "zahle zahlen bezahle bezahlen überweise überweisen paie payez paye virez vire transférez paga pague pagar "
        "transfiere transfiera paghi bonifica trasferisci transfira betaal maak boek"
    ),
    EffectKind.DELETE: (
        "delete remove erase purge drop wipe clear destroy cancel discard trash "
        "lösche löschen entferne entfernen supprime supprimez efface effacez borra borre elimina elimine cancella rimuovi "
        "apague exclua remova verwijder wis"
    ),
    EffectKind.CREATE: (
        "create add make record log schedule book set open generate write register insert draft new invite post upload save "
        "erstelle erstellen lege anlegen füge plane crée créez ajoute ajoutez planifie crea cree añade añada agrega programa "
        "aggiungi pianifica crie adicione agende maak voeg plan"
    ),
    EffectKind.UPDATE: (
        "update change modify edit set adjust replace reset rename reschedule move append add share grant revoke cancel "
        "assign increase decrease alter switch correct mark rewrite put invite reassign "
        "ändere ändern aktualisiere setze teile verschiebe ersetze change changez modifie modifiez remplace partage "
        "cambia cambie modifica modifique actualiza comparte aggiorna condividi altere mude atualize compartilhe wijzig "
        "verander deel vervang"
    ),
    EffectKind.APPROVE: (
        "approve accept confirm sign authorize authorise grant release merge "
        "genehmige genehmigen bestätige bestätigen approuve approuvez confirme aprueba apruebe confirma approva conferma "
        "aprove confirme keur bevestig"
    ),
    EffectKind.TRIGGER: (
        "run start execute launch trigger call deploy restart invoke "
        "starte starten führe lance lancez exécute ejecuta ejecute inicia esegui avvia execute inicie start voer"
    ),
}
_EVERY_VERB: Final = frozenset(verb for words in _VERBS.values() for verb in words.split())
_LEADS: Final = (
    "please|kindly|then|and|or|also|now|first|next|finally|afterwards|instead|must|should|shall|do|just|simply|"
    "can you|could you|would you|you|need to|have to|has to|want to|want you to|you to|sure to|asked to|order to|"
    "remember to|immediately|"
    "bitte|dann|und|sofort|zuerst|anschließend|müssen|veuillez|puis|et|ensuite|merci de|por favor|luego|y|debes|"
    "per favore|poi|e|depois|alstublieft|alsjeblieft|daarna|en|eerst"
)
_DELEGATES: Final = re.compile(
    r"\b(?:follow|do|perform|carry out|execute|complete|act on|handle|process|work through)\b(?! the following)[^.!?:\n]{0,40}"
    r"\b(?:instructions?|actions?|tasks?|to-?dos?|steps?|requests?|orders?|items?|says?|asks?|asked|specified|listed)\b"
)
#: A verb that says by itself that what came in is answered, and one that does with what follows it.
_ANSWERS: Final = (
    r"(?:repl(?:y|ies)|respond|answer|antworte[nt]?|beantworte[nt]?|répond(?:s|ez|re)|respond[ae]r?|contest(?:ar?|e)|"
    r"rispond(?:i|ere|ete)|(?:be)?antwoord(?:en)?)\b"
    r"|(?:write|send|e-?mail|schreib(?:en?|t)?|send(?:en?|et)|schick(?:en?|t)?|écri(?:s|vez|re)|envo(?:ie|yez|yer)|escrib[ae]r?|env[ií][ae]r?|"
    r"scriv(?:i|ere|ete)|inviare?|escrev[ae]r?|schrijf|stuur)\b[^.!?:\n]{0,40}"
    r"\b(?:back|(?:a|an|in|en|als|zur|eine|une|una|uma|een)(?: \w+)? (?:reply|response|answer|antwort|réponse|respuesta|risposta|resposta|"
    r"antwoord)|(?:replies|responses|answers) to)\b"
)
#: What somebody wants to be told is no message to others, nor is the answer to a question of theirs.
_TOLD_BACK: Final = re.compile(
    r"(?:(?:tell|write|send|notify|text|message|respond|reply)(?: (?:to|back))* (?:me|us)"
    rf"|(?:{_ANSWERS})"
    r"(?:(?: (?:to|back|an))*[ -](?:me|us|mir|uns|moi|nous|mij|ons)"
    r"|(?: \w{1,2})? (?:my|our|this|these|the following|some|an?|meine?|unsere?|diese|folgende|ma|mes|nos|cette|ces|mis?|esta|estas|"
    r"alla mia|questa|minhas?|mijn|deze)(?: \w+)? (?:questions?|fragen?|preguntas?|domand[ae]|perguntas?|vra(?:ag|gen))"
    r"| (?:only|yes|no)| (?:in|with)(?: \w+){1,3} (?:words?|sentences?|paragraphs?|numbers?|digits?)|:\s*$))(?!\w)"
)
_HANDLES: Final = re.compile(
    r"\b(?:handle|process|work (?:through|off)|deal with|take care of|bearbeite|verarbeite|erledige|traite[zr]?|procesa|gestisci|processe|verwerk)"
    r"\b([^.!?:\n]{0,60})"
)
_SAYS_SOMETHING: Final = re.compile(
    r"\b(?:the|my|me|i|please|what|when|of|to|and|der|die|das|und|bitte|le|la|les|et|el|los|por|il|di|het|een|o|os)\b"
)
_NAME_PARTS: Final = re.compile(r"[A-Za-z][a-z]*|[A-Z]+(?![a-z])")
_WORDLESS: Final = "by to of for the and from with in on at get set new recent most all info data api tool"
MIN_NOUN_CHARS: Final = 3
#: So many orders are looked at in one text.
MAX_ORDERS: Final = 20


def _order(verbs: str) -> re.Pattern[str]:
    """Answer what finds one of the verbs where an order begins."""
    return re.compile(rf"(?:^ *|[\n.,;:!?()\[\]<>\"'*>|-][\"' ]*|\b(?:{_LEADS}) )(?P<verb>{verbs})")


_ANSWERING: Final = _order(_ANSWERS)


class Deed(NamedTuple):
    """What calling a tool does, in words: ``own`` are the verbs in its name, ``nouns`` what it is done to, ``order`` finds where a text asks for it."""

    own: frozenset[str]
    nouns: frozenset[str]
    order: re.Pattern[str]


class Order(NamedTuple):
    """One place where a text asks for a deed; ``objects`` when the sentence also names what the tool acts on."""

    start: int
    end: int
    objects: bool


@lru_cache(maxsize=512)
def deed_of(tool: str, effect: EffectKind) -> Deed:
    """Answer the words for what a tool of this name and effect does."""
    family = frozenset(_VERBS[effect].split())
    parts = [part.lower() for part in _NAME_PARTS.findall(tool) if part.lower() not in _WORDLESS.split()]
    # In `mail.send` and in `send_email` the verb begins what stands behind the last dot; what follows it is what it is done to.
    last = [part.lower() for part in _NAME_PARTS.findall(re.split(r"[.:/]", tool)[-1])]
    named = [part for part in last if part not in _WORDLESS.split()] or parts
    own = frozenset(next(([part] for part in (*last, *parts) if part in _EVERY_VERB), named[:1]))
    nouns = frozenset(
        part.removesuffix("s") for part in parts if part not in own and len(part) >= MIN_NOUN_CHARS
    )
    verbs = family | own
    words = "|".join(re.escape(verb) for verb in sorted(verbs, key=len, reverse=True))
    return Deed(own, nouns, _order(rf"(?:{words})\b"))


@lru_cache(maxsize=512)
def orders(deed: Deed, text: str) -> tuple[Order, ...]:
    """Answer the places where the text, in the spelling that is compared, asks for the deed; at most :data:`MAX_ORDERS`."""
    found = []
    for match in islice(deed.order.finditer(text), MAX_ORDERS):
        sentence = text[match.start("verb") : _sentence_end(text, match.end())]
        objects = any(noun in sentence for noun in deed.nouns)
        found.append(Order(match.start("verb"), match.end(), objects))
    return tuple(found)


def says_to_answer(task: str) -> bool:
    """Answer whether the task has what came in answered: *answer mail 82* does, *answer my question* does not."""
    return any(_TOLD_BACK.match(task, match.start("verb")) is None for match in _ANSWERING.finditer(task))


def asks_for(deed: Deed, task: str) -> bool:
    """Answer whether the task asks for the deed: by an order, or by a verb of the tool's own name."""
    if any(re.search(rf"\b{re.escape(verb)}(?:d|s|ing)?\b", task) for verb in deed.own):
        return True
    return any(_TOLD_BACK.match(task, match.start("verb")) is None for match in deed.order.finditer(task))


def delegates(task: str) -> bool:
    """Answer whether the task says that what is to be done stands somewhere else."""
    return _DELEGATES.search(task) is not None


def hands_over(deed: Deed, task: str) -> bool:
    """Answer whether the task has the very things handled that the deed is done to, as *process the invoices* does for paying one."""
    handled = (match[1] for match in _HANDLES.finditer(task))
    return any(noun in words for words in handled for noun in deed.nouns)


def says_something(task: str) -> bool:
    """Answer whether the task is in words that are known here, so that what it does not say can be told from it."""
    return len(_SAYS_SOMETHING.findall(task)) > 1


def _sentence_end(text: str, start: int, *, most: int = 240) -> int:
    ends = [at for mark in (". ", "! ", "? ", "\n") if (at := text.find(mark, start)) >= 0]
    return min([*ends, start + most])
