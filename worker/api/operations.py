"""Every operation of the API, with the client's method for it."""

from typing import NamedTuple


class Operation(NamedTuple):
    """An operation: ``path`` is below ``/accounts/{account_id}/email-security``, ``call`` is a method of ``Client``."""

    method: str
    path: str
    call: str


OPERATIONS = (
    Operation("GET", "/analytics/monthly_report", "analytics.monthly_report"),
    Operation("GET", "/investigate", "investigate.search"),
    Operation("GET", "/investigate/bulk", "investigate.bulk.list"),
    Operation("POST", "/investigate/bulk", "investigate.bulk.create"),
    Operation("DELETE", "/investigate/bulk/{id}", "investigate.bulk.delete"),
    Operation("GET", "/investigate/bulk/{id}", "investigate.bulk.get"),
    Operation("POST", "/investigate/bulk/{id}/cancel", "investigate.bulk.cancel"),
    Operation("GET", "/investigate/bulk/{id}/messages", "investigate.bulk.messages"),
    Operation("POST", "/investigate/move", "investigate.move"),
    Operation("POST", "/investigate/preview", "investigate.preview_clean"),
    Operation("POST", "/investigate/release", "investigate.release"),
    Operation("GET", "/investigate/{id}", "investigate.get"),
    Operation("GET", "/investigate/{id}/action_log", "investigate.action_log"),
    Operation("GET", "/investigate/{id}/detections", "investigate.detections"),
    Operation("POST", "/investigate/{id}/move", "investigate.move_one"),
    Operation("GET", "/investigate/{id}/preview", "investigate.preview"),
    Operation("GET", "/investigate/{id}/raw", "investigate.raw"),
    Operation("POST", "/investigate/{id}/reclassify", "investigate.reclassify"),
    Operation("GET", "/investigate/{id}/trace", "investigate.trace"),
    Operation("GET", "/phishguard/reports", "phishguard.reports"),
    Operation("GET", "/submissions", "submissions.list"),
    Operation("POST", "/submissions", "submissions.create"),
    Operation("GET", "/settings/allow_policies", "settings.allow_policies.list"),
    Operation("POST", "/settings/allow_policies", "settings.allow_policies.create"),
    Operation("POST", "/settings/allow_policies/batch", "settings.allow_policies.batch"),
    Operation("DELETE", "/settings/allow_policies/{id}", "settings.allow_policies.delete"),
    Operation("GET", "/settings/allow_policies/{id}", "settings.allow_policies.get"),
    Operation("PATCH", "/settings/allow_policies/{id}", "settings.allow_policies.edit"),
    Operation("GET", "/settings/block_senders", "settings.block_senders.list"),
    Operation("POST", "/settings/block_senders", "settings.block_senders.create"),
    Operation("POST", "/settings/block_senders/batch", "settings.block_senders.batch"),
    Operation("DELETE", "/settings/block_senders/{id}", "settings.block_senders.delete"),
    Operation("GET", "/settings/block_senders/{id}", "settings.block_senders.get"),
    Operation("PATCH", "/settings/block_senders/{id}", "settings.block_senders.edit"),
    Operation("GET", "/settings/content_policies", "settings.content_policies.list"),
    Operation("POST", "/settings/content_policies", "settings.content_policies.create"),
    Operation("POST", "/settings/content_policies/batch", "settings.content_policies.batch"),
    Operation("DELETE", "/settings/content_policies/{id}", "settings.content_policies.delete"),
    Operation("GET", "/settings/content_policies/{id}", "settings.content_policies.get"),
    Operation("PATCH", "/settings/content_policies/{id}", "settings.content_policies.edit"),
    Operation("DELETE", "/settings/domains", "settings.domains.delete_all"),
    Operation("GET", "/settings/domains", "settings.domains.list"),
    Operation("POST", "/settings/domains", "settings.domains.create"),
    Operation("POST", "/settings/domains/batch", "settings.domains.batch"),
    Operation("DELETE", "/settings/domains/{id}", "settings.domains.delete"),
    Operation("GET", "/settings/domains/{id}", "settings.domains.get"),
    Operation("PATCH", "/settings/domains/{id}", "settings.domains.edit"),
    Operation("PUT", "/settings/domains/{id}", "settings.domains.replace"),
    Operation("GET", "/settings/domains/{id}/verification", "settings.domains.verification"),
    Operation("GET", "/settings/impersonation_registry", "settings.impersonation_registry.list"),
    Operation("POST", "/settings/impersonation_registry", "settings.impersonation_registry.create"),
    Operation("DELETE", "/settings/impersonation_registry/{id}", "settings.impersonation_registry.delete"),
    Operation("GET", "/settings/impersonation_registry/{id}", "settings.impersonation_registry.get"),
    Operation("PATCH", "/settings/impersonation_registry/{id}", "settings.impersonation_registry.edit"),
    Operation("GET", "/settings/sending_domain_restrictions", "settings.sending_domain_restrictions.list"),
    Operation("POST", "/settings/sending_domain_restrictions", "settings.sending_domain_restrictions.create"),
    Operation(
        "POST", "/settings/sending_domain_restrictions/batch", "settings.sending_domain_restrictions.delete_many"
    ),
    Operation("DELETE", "/settings/sending_domain_restrictions/{id}", "settings.sending_domain_restrictions.delete"),
    Operation("GET", "/settings/sending_domain_restrictions/{id}", "settings.sending_domain_restrictions.get"),
    Operation("PATCH", "/settings/sending_domain_restrictions/{id}", "settings.sending_domain_restrictions.edit"),
    Operation("GET", "/settings/trusted_domains", "settings.trusted_domains.list"),
    Operation("POST", "/settings/trusted_domains", "settings.trusted_domains.create"),
    Operation("POST", "/settings/trusted_domains/batch", "settings.trusted_domains.batch"),
    Operation("DELETE", "/settings/trusted_domains/{id}", "settings.trusted_domains.delete"),
    Operation("GET", "/settings/trusted_domains/{id}", "settings.trusted_domains.get"),
    Operation("PATCH", "/settings/trusted_domains/{id}", "settings.trusted_domains.edit"),
    Operation("GET", "/settings/url_ignore_patterns", "settings.url_ignore_patterns.list"),
    Operation("POST", "/settings/url_ignore_patterns", "settings.url_ignore_patterns.create"),
    Operation("DELETE", "/settings/url_ignore_patterns/{id}", "settings.url_ignore_patterns.delete"),
    Operation("GET", "/settings/url_ignore_patterns/{id}", "settings.url_ignore_patterns.get"),
    Operation("PATCH", "/settings/url_ignore_patterns/{id}", "settings.url_ignore_patterns.edit"),
)
"""In the order of the API's paths."""
