"""A TCP proxy of ours, between a process under test and a server: it cuts, stalls, and kills at a given message."""

from tests.support.proxy.amqp import AmqpWire
from tests.support.proxy.http import HttpWire
from tests.support.proxy.postgres import PostgresWire
from tests.support.proxy.proxy import Proxy
from tests.support.proxy.resp import RespWire
from tests.support.proxy.trap import Trap
from tests.support.proxy.wire import Wire

__all__ = ["AmqpWire", "HttpWire", "PostgresWire", "Proxy", "RespWire", "Trap", "Wire"]
