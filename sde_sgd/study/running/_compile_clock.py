"""Seconds that JAX has spent on tracing, lowering and compiling, so that they stay out of a rate of work."""

import sys
import threading

_WATCHED = ("/jax/core/compile/jaxpr_trace_duration", "/jax/core/compile/jaxpr_to_mlir_module_duration")
_WATCHED += ("/jax/core/compile/backend_compile_duration",)
_lock = threading.Lock()
_spent = 0.0
_is_listening = False


def compile_seconds() -> float:
    """Seconds that this process has compiled for since it first asked; 0 as long as JAX is not loaded.

    Of all threads, some of which work for one cell: a trace within a trace, and two at a time, count twice. The wall
    time between two readings bounds their difference.
    """
    global _is_listening
    if "jax" not in sys.modules:
        return 0.0
    with _lock:
        if not _is_listening:
            import jax

            jax.monitoring.register_event_duration_secs_listener(_hear)
            _is_listening = True
        return _spent


def _hear(event: str, duration_secs: float, **labels: str | int) -> None:
    global _spent
    if event in _WATCHED:
        with _lock:
            _spent += duration_secs
