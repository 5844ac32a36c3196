"""The WSGI application that gunicorn serves."""

import gc
import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mlops_site.settings")
gc.disable()  # what is imported stays: no collection of garbage need walk over it, now or later
application = get_wsgi_application()

import scipy  # noqa: E402

from mlops_site.api import warm  # noqa: E402  (models can be imported now)

scipy.special, scipy.stats  # noqa: B018  (pages compute with them: loaded before anybody waits)

warm.start()
gc.freeze()
gc.enable()
