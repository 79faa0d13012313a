"""The audit record, asked for, proved and handed on."""
