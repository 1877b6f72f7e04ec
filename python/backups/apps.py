from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class BackupsConfig(AppConfig):
    name = "backups"
    label = "backups"
    verbose_name = _("Backups")
    default_auto_field = "django.db.models.BigAutoField"
    #: How the engine tells this app from one of the site's own that has the same label.
    is_dalsegno = True

    def ready(self) -> None:
        from backups import checks  # noqa: F401  (registers them)
