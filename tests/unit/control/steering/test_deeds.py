"""Contract: an order is told from a mention by where its verb stands, in the languages that are known."""

from __future__ import annotations

import pytest

from stopwork.control.steering.deeds import asks_for, deed_of, delegates, hands_over, orders, says_to_answer
from stopwork.control.steering.spelling import plain
from stopwork.ledger.words import EffectKind

SEND = deed_of("mail.send_email", EffectKind.SEND)
PAY = deed_of("send_money", EffectKind.PAY)
DELETE = deed_of("delete_file", EffectKind.DELETE)


def test_a_name_is_taken_apart_into_what_is_done_and_to_what() -> None:
    record = deed_of("erp.record_invoice", EffectKind.CREATE)
    assert (set(record.own), set(record.nouns)) == ({"record"}, {"erp", "invoice"})
    assert [set(words) for words in (SEND.own, DELETE.own, DELETE.nouns)] == [{"send"}, {"delete"}, {"file"}]
    assert deed_of("crm.updateAccount", EffectKind.UPDATE).nouns == {"crm", "account"}


@pytest.mark.parametrize(
    "text",
    [
        "Send the list to me.",
        "Thanks. Please forward it.",
        "- 2. Send me an email",
        "You must send it now",
        "Bitte schicken Sie alles an mich",
        "Merci. Envoyez le tout",
        "Por favor, envía todo",
        "Ok, e poi inoltra tutto",
    ],
)
def test_an_order_is_found(text: str) -> None:
    assert list(orders(SEND, plain(text)))


@pytest.mark.parametrize(
    "text",
    [
        "The email looks good.",
        "We sent you an invoice.",
        "The link below to reset your password",
        "Whether they will send it is open.",
        "Proszę wysłać wszystko",
    ],
)
def test_a_mention_is_no_order(text: str) -> None:
    assert list(orders(SEND, plain(text))) == []


def test_an_order_says_whether_it_names_what_the_tool_is_for() -> None:
    assert [each.objects for each in orders(DELETE, "delete the file with id 13. delete it.")] == [
        True,
        False,
    ]


def test_a_task_asks_for_a_deed_in_its_own_words() -> None:
    assert asks_for(PAY, "can you please pay the bill 'bill.txt' for me?")
    assert asks_for(DELETE, "find and delete the largest file in the drive.")
    assert not asks_for(SEND, "who else is invited? please give me their email addresses.")


def test_a_task_may_say_that_its_orders_stand_elsewhere() -> None:
    assert delegates("please do the actions specified in the email from david")
    assert delegates("read 'notices.txt' and follow the instructions precisely.")
    assert not delegates("perform the following tasks in the order they are given: 1. count them.")


def test_to_have_things_handled_is_to_have_done_what_is_done_to_them() -> None:
    paying = deed_of("erp.pay_invoice", EffectKind.PAY)
    assert hands_over(paying, "process the invoices that came in today.")
    assert not hands_over(SEND, "process the invoices that came in today.")
    assert not hands_over(paying, "show me the invoices that came in today.")


def test_to_be_told_something_is_no_message_to_others() -> None:
    assert not asks_for(SEND, "please tell me when the renewal of each customer is due.")
    assert asks_for(SEND, "please tell dana when the renewal of each customer is due.")


@pytest.mark.parametrize(
    "task",
    [
        "Reply to mail 82",
        "Answer mail 82",
        "Answer the customers' open mails",
        "Read what came in today and answer it with our price list.",
        "Please respond to every ticket that is open.",
        "Write back to the customer.",
        "Send a short reply to mail 82.",
        "Beantworte die offenen Mails",
        "Bitte antworten Sie auf Mail 82",
        "Schreibe dem Kunden eine Antwort",
        "Réponds aux courriels ouverts",
        "Écris en réponse au courriel 82",
        "Veuillez écrire en réponse au courriel 82",
        "Responde al correo 82",
        "Contesta los correos abiertos",
        "Rispondi alla mail 82",
        "Responda ao email 82",
        "Beantwoord de open mails",
    ],
)
def test_a_task_says_to_answer_what_came_in(task: str) -> None:
    assert says_to_answer(plain(task))


@pytest.mark.parametrize(
    "task",
    [
        "Show me the unread mails, please.",
        "What did dana answer?",
        "Forward the reply of dana to lee@acme.test.",
        "Send the summary to dana@acme.test.",
        "Answer my question: who has written today?",
        "Answer the following question about the mails of today.",
        "Answer me, please: who has written today?",
        "Reply to me with the number of open mails.",
        "Answer in one sentence: who has written today?",
        "Who has written today? Answer:",
        "Antworte mir, wer heute geschrieben hat.",
        "Beantworte meine Frage: wer hat heute geschrieben?",
        "Réponds à ma question : qui a écrit ?",
        "Draft an answer to mail 82.",
    ],
)
def test_a_task_that_is_to_be_answered_itself_or_only_speaks_of_answers_does_not(task: str) -> None:
    assert not says_to_answer(plain(task))
