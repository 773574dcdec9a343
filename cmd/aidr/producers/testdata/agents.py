"""Keys of agents for LiteLLM's proxy without a database."""
import os

from litellm.proxy._types import ProxyException, UserAPIKeyAuth

AGENTS = dict(pair.split("=") for pair in os.environ["AGENT_KEYS"].split(","))


async def user_api_key_auth(request, api_key):
    if api_key not in AGENTS:
        raise ProxyException(message="invalid key", type="auth_error", param="key", code=401)
    return UserAPIKeyAuth(api_key=api_key, key_alias=AGENTS[api_key])
