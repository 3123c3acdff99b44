"""Who comes into the room: any first name with the room's password, and the teacher with another.

The same name finds the same work again. Somebody else who chooses a name that is in use is told so.
"""

import datetime
import json
import secrets
import unicodedata
from typing import Any

from jupyterhub.auth import Authenticator
from jupyterhub.authenticators.shared import SharedPasswordAuthenticator
from jupyterhub.handlers import BaseHandler
from jupyterhub.utils import get_browser_protocol, utcnow
from tornado.web import HTTPError

TEACHER = "teacher"
LONGEST_NAME = 40  # letters of a name; as a folder's name it has 255 bytes
BESIDE_LETTERS = " -'."
RECENT = datetime.timedelta(minutes=15)  # a server tells the hub of its learner every 5 minutes
COOKIE = "trickkit-names"  # which a browser has logged in by; a logout leaves it
NAMES_KEPT = 8  # names in it
SYLLABLES = [c + v for c in "bdfgkmprstz" for v in "aeio"]  # no two signs look alike


def new_passwords() -> dict[str, str]:
    """New ones: "room", for the board, one of 7 thousand million; and "teacher", one of 10²³."""
    words = ["".join(secrets.choice(SYLLABLES) for _ in range(2)) for _ in range(10)]
    return {"room": "-".join(words[:3]), "teacher": "-".join(words[3:])}


def as_on_the_board(password: str) -> str:
    """A password without what a phone's keyboard adds: capitals, and spaces for hyphens."""
    return "-".join(password.lower().replace("-", " ").split())


def tidied(name: str) -> str:
    """The form of a name that is the same however it is typed: "Ada", " ada" and "ADA" are one."""
    return " ".join(unicodedata.normalize("NFKC", name.replace("’", "'")).lower().split())


def objection(name: str) -> str:
    """Why a tidied name cannot be one, as a sentence that says what can; "" if it can."""
    if not name:
        return "Type your first name: your work is kept under it."
    if len(name) > LONGEST_NAME:
        return f"That name is too long: {LONGEST_NAME} letters at most, please."
    for sign in name:
        if unicodedata.category(sign)[0] not in "LMN" and sign not in BESIDE_LETTERS:
            shown = f"“{sign}”" if sign.isprintable() else "a sign that cannot be seen"
            return (
                f"A name cannot have {shown}: use letters of any language, digits, spaces, hyphens,"
                " apostrophes and full stops."
            )
    if unicodedata.category(name[0])[0] not in "LN":
        return "A name begins with a letter or a digit: please leave out what stands before it."
    return ""


class RoomAuthenticator(SharedPasswordAuthenticator):
    """A password for the room, another for the teacher, and any first name."""

    def normalize_username(self, username: str) -> str:
        """The name as it is kept."""
        return tidied(username)

    def validate_username(self, username: str) -> bool:
        """Whether a name can be a folder's, and be shown to everybody."""
        return not objection(username) and Authenticator.validate_username(self, username)

    async def authenticate(self, handler: BaseHandler, data: dict[str, str]) -> dict[str, Any]:
        """Who it is that comes, as the hub wants to know it.

        handler: of the login page.
        data: what was typed there: "username", "password", and "same" if the learner says that they
            are the one whose name it is.
        Raises HTTPError with the sentence that the page then shows.
        """
        typed = data.get("username", "")
        name = tidied(typed)
        if sentence := objection(name):
            raise HTTPError(403, sentence)
        teacher = name in self.admin_users
        given = as_on_the_board(data.get("password", ""))
        if teacher:
            wanted, which = (
                as_on_the_board(self.admin_password),
                "teacher's password, which the terminal printed",
            )
            which += " when the room was opened"
        else:
            wanted = as_on_the_board(self.user_password)
            which = "room's password: look at the board, or ask your teacher"
        if not secrets.compare_digest(given.encode(), wanted.encode()):
            raise HTTPError(403, f"That is not the {which}. Try again.")
        here = names_of(handler)
        if not teacher and name not in here and "same" not in data and in_use(handler, name):
            raise HTTPError(
                409,
                f"Somebody called {typed} is in the room already. Choose another name, with"
                " the first letter of your surname perhaps; or tick below that it is you.",
            )
        handler.set_signed_cookie(
            COOKIE,
            json.dumps([name, *(other for other in here if other != name)][:NAMES_KEPT]),
            path=handler.hub.base_url,
            httponly=True,
            samesite="Lax",
            secure=get_browser_protocol(handler.request) == "https",
        )
        return {"name": name, "admin": teacher, "groups": []}


def names_of(handler: BaseHandler) -> list[str]:
    """The names by which this browser has logged in, the last one first."""
    cookie = handler.get_signed_cookie(COOKIE)
    return json.loads(cookie) if cookie else []


def in_use(handler: BaseHandler, name: str) -> bool:
    """Whether somebody works under this name now, or did some minutes ago."""
    user = handler.find_user(name)
    if user is None or not user.spawner.active:
        return False
    times = [user.last_activity, user.spawner.orm_spawner.last_activity]
    return any(time and utcnow(with_tz=False) - time < RECENT for time in times)
