"""Help of commands with many options, in panels of related ones."""

from typing import Any

from typer.core import TyperCommand

#: heading of the options that name no panel
_OTHERS = "Other options"


class PanelledCommand(TyperCommand):
    """A command whose plain help groups its options by their ``rich_help_panel``.

    typer shows panels only where rich draws the help, and importing rich is slow.
    """

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, then the panels in the order of their first options."""
        panels: dict[str, list[tuple[str, str]]] = {}
        others: list[tuple[str, str]] = []
        for parameter in self.get_params(ctx):
            shown = parameter.get_help_record(ctx)
            if shown is None:
                continue
            named = getattr(parameter, "rich_help_panel", None)
            if parameter.param_type_name == "argument":
                named = "Arguments"
            (panels.setdefault(named, []) if named else others).append(shown)
        for name, rows in (*panels.items(), (_OTHERS, others)):
            if rows:
                with formatter.section(name):
                    formatter.write_dl(rows)
