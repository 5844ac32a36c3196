"""The WSGI application that gunicorn serves."""

import gc
import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mlops_site.settings")
gc.disable()  # what is imported stays: no collection of garbage need walk over it, now or later
application = get_wsgi_application()

import scipy.stats  # noqa: E402, F401  (pages compute with it and what it loads: before anybody waits)

from mlops_site.api import warm  # noqa: E402  (models can be imported now)

warm.start()
gc.freeze()
gc.enable()
