"""Dalsegno in Django: ``"backups"`` in ``INSTALLED_APPS``, then ``manage.py backup`` and ``restore``.

No backup logic lives here. A command describes the project in this process, hands the descriptor
to the program of the package ``dalsegno`` and shows what it answers.
"""
