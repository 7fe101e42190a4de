"""Where the pages are, below the issuer; their refusals are pages, too."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agentsim.server.errors import OAuthError, TemporarilyUnavailable
from agentsim.server.http.context import Handler, answering, context_of
from agentsim.server.http.discovery import base_path
from agentsim.server.http.pages import account, authorizing, signin
from agentsim.server.http.pages.rendering import fault_page, stylesheet
from agentsim.server.http.pages.visits import visit_of

#: Name, method, path and handler of each page.
PAGES: tuple[tuple[str, str, str, Handler], ...] = (
    ("sign_in", "GET", "/signin", signin.show),
    ("sign_in", "POST", "/signin", signin.sign_in),
    ("sign_out", "POST", "/signout", signin.sign_out),
    ("authorize", "GET", "/authorize", authorizing.show),
    ("authorize", "POST", "/authorize", authorizing.decide),
    ("account", "GET", "/account", account.home),
    ("account_grants", "GET", "/account/grants", account.show),
    ("withdraw", "POST", "/account/grants/withdraw", account.withdraw),
)


def page_routes(issuer: str) -> list[Route]:
    """The routes of all pages and of their style."""
    base = base_path(issuer)
    routes = [
        Route(
            base + path,
            answering(name, handler, _refuse),
            methods=[method],
            name=f"page_{name}_{method.lower()}",
        )
        for name, method, path, handler in PAGES
    ]
    return [*routes, Route(f"{base}/pages.css", _style, name="style")]


async def _refuse(request: Request, error: OAuthError) -> Response:
    issuer = context_of(request).server.policy.issuer
    if isinstance(error, TemporarilyUnavailable):
        # Who is signed in, the database knows.
        return fault_page(error, issuer)
    visit = await visit_of(request)
    return fault_page(error, issuer, visit.person, visit.csrf)


async def _style(_request: Request) -> Response:
    return Response(stylesheet(), media_type="text/css", headers={"Cache-Control": "max-age=3600"})
