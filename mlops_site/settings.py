"""Settings: one file, two ways to run. With nothing set it is embedded (SQLite, one machine); DATABASE_URL and
REDIS_URL make it a server. Every variable is read through core.env, which stops the start on a bad value."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from csp.constants import NONCE, NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE
from django.core.exceptions import ImproperlyConfigured
from django.urls import reverse_lazy

from mlops_site.core import entries, env, typenames

BASE_DIR = env.BASE_DIR
STEWARD_HOME = env.home()
SERVER = bool(env.text("DATABASE_URL"))

SECRET_KEY = env.secret("SECRET_KEY", server=SERVER)
SECRET_KEY_FALLBACKS = env.words("SECRET_KEY_FALLBACKS")  # earlier ones, whose sessions and seals still hold
AUDIT_KEY = env.secret("AUDIT_KEY", server=SERVER)
DEBUG = False
HTTPS = env.flag("HTTPS", False)
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", ("127.0.0.1", "localhost", "[::1]"))
CSRF_TRUSTED_ORIGINS = env.words("CSRF_TRUSTED_ORIGINS")

INSTALLED_APPS = [
    "mlops_site.core",
    "registry",
    "training",
    "monitoring",
    "abtesting",
    "unfold",
    "django.contrib.auth",
    "django.contrib.admin",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django_celery_beat",
    "axes",
    "csp",
    "django_htmx",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
]
MIDDLEWARE = [
    "mlops_site.core.admission.Admission",
    "mlops_site.core.intake.Intake",
    "django.middleware.security.SecurityMiddleware",
    "mlops_site.api.lane.Lane",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "mlops_site.urls"
WSGI_APPLICATION = "mlops_site.wsgi.application"
ASGI_APPLICATION = "mlops_site.asgi.application"
APPEND_SLASH = False
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
            ],
        },
    },
]

DATABASES = {"default": env.database(STEWARD_HOME / "steward.sqlite3")}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "core.User"
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = reverse_lazy("admin:login")
LOGIN_REDIRECT_URL = reverse_lazy("home")
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_VERBOSE = False

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = STEWARD_HOME / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
    "artifacts": env.artifacts(STEWARD_HOME / "artifacts"),
}
WHITENOISE_MAX_AGE = 3600

SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if env.flag("TRUST_PROXY", False) else None
SECURE_REDIRECT_EXEMPT = [r"^livez$", r"^readyz$"]
SESSION_COOKIE_SECURE = HTTPS
SESSION_COOKIE_AGE = 12 * 3600
CSRF_COOKIE_SECURE = HTTPS
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF, NONCE, UNSAFE_EVAL],  # django-unfold's Alpine compiles its expressions: docs/adr
        "style-src": [SELF, UNSAFE_INLINE],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "object-src": [NONE],
        "frame-ancestors": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
    }
}
WEB_THREADS = env.integer("WEB_THREADS", 16, low=2, high=1000)  # of each web process, as deploy/start starts it
DATA_UPLOAD_MAX_MEMORY_SIZE = 16 * 2**20
MAX_UPLOAD_BYTES = env.integer("MAX_UPLOAD_MB", 100, low=1, high=10_000) * 2**20
LARGE_TABLE_BYTES = env.integer("LARGE_TABLE_MB", 256, low=1, high=1_000_000) * 2**20  # a longer csv is read in parts
LARGE_RUN_BYTES = env.integer("LARGE_RUN_MB", 400, low=1, high=1_000_000) * 2**20  # 8 a cell: more is in parts
DASK_SCHEDULER_ADDRESS = env.address("DASK_SCHEDULER_ADDRESS", schemes=("tcp://", "tls://"))  # else a local cluster
DASK_PROCESSES = env.integer("DASK_PROCESSES", 2, low=1, high=256)  # of the local cluster
DASK_MEMORY_MB = env.integer("DASK_MEMORY_MB", 2048, low=256, high=1_000_000)  # of each

# Where people may have data read from; of each, what no entry names cannot be read.
DATA_FOLDERS = entries.folders("DATA_FOLDERS")
DATA_BUCKETS, DATA_STORE = entries.buckets("DATA_BUCKETS"), env.data_store()
SOURCE_DATABASES = entries.databases("SOURCE_DATABASES")
SOURCE_QUERY_SECS = env.integer("SOURCE_QUERY_SECS", 300, low=1, high=24 * 3600)

REDIS_URL = env.redis_url("REDIS_URL")
TASK_APP = "mlops_site.celery.app"
EXPLAINING = "monitoring.services.explain_predictions"  # what the notebook face of the registry calls
RETRAINING = "monitoring.services.trigger_retraining"  # what the notebook face of training calls
CELERY_BROKER_URL = REDIS_URL or f"sqla+sqlite:///{STEWARD_HOME / 'broker.sqlite3'}"
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_QUEUES: dict[str, dict[str, Any]] = {"default": {}, "cpu": {}, "gpu": {}}  # core.choices.Queue
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = False  # the leased row is the queue; a message is only the doorbell
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "mlops_site.core.scheduler:LeaderScheduler"
DJANGO_CELERY_BEAT_TZ_AWARE = True

JOB_LEASE_SECS = env.number("JOB_LEASE_SECS", 30.0, low=1, high=3600)
JOB_HEARTBEAT_SECS = env.number("JOB_HEARTBEAT_SECS", 5.0, low=0.1, high=600)
if JOB_HEARTBEAT_SECS > JOB_LEASE_SECS / 2:
    raise ImproperlyConfigured(
        f"JOB_HEARTBEAT_SECS must be at most half of JOB_LEASE_SECS ({JOB_LEASE_SECS}) but got {JOB_HEARTBEAT_SECS}"
    )
JOB_SWEEP_SECS = env.number("JOB_SWEEP_SECS", 10.0, low=0.5, high=600)
BEAT_LEASE_SECS = env.number("BEAT_LEASE_SECS", 30.0, low=1, high=600)
JOB_MEMORY_LIMIT_MB = env.integer("JOB_MEMORY_LIMIT_MB", 8192, low=256, high=10_000_000)
JOB_TIME_LIMIT_SECS = env.integer("JOB_TIME_LIMIT_SECS", 6 * 3600, low=1, high=30 * 86400)
APPROVAL_DAYS = env.integer("APPROVAL_DAYS", 14, low=1, high=90)  # then a request that nobody decided expires
APPROVAL_WEBHOOK_URL = env.address("APPROVAL_WEBHOOK_URL", schemes=("http://", "https://"))  # the operator's own
REPORT_MAX_BYTES = env.integer("REPORT_MAX_MB", 20, low=1, high=100) * 2**20  # of a validation report
MODEL_CACHE_MB = env.integer("MODEL_CACHE_MB", 512, low=16, high=1_000_000)
TRUSTED_TYPES = typenames.operator_types("TRUSTED_TYPES")  # in .skops files, beside the reviewed list
ARTIFACT_MAX_MB = env.integer("ARTIFACT_MAX_MB", 512, low=1, high=10_000)

_DATABASES = ("sqlite:///", "postgresql://", "postgres://", "postgresql+psycopg2://")
MLFLOW_TRACKING_URI = env.address(
    "MLFLOW_TRACKING_URI",
    f"sqlite:///{STEWARD_HOME / 'mlflow.sqlite3'}",
    schemes=("http://", "https://", *_DATABASES),
)
MLFLOW_ARTIFACTS = env.text("MLFLOW_ARTIFACTS", str(STEWARD_HOME / "mlflow"))
OPTUNA_STORAGE = env.address(
    "OPTUNA_STORAGE",
    env.text("DATABASE_URL") or f"sqlite:///{STEWARD_HOME / 'optuna.sqlite3'}",
    schemes=_DATABASES,
)

DRIFT_THRESHOLD = env.number("DRIFT_THRESHOLD", 0.1, low=0, high=1)
PERFORMANCE_DEGRADATION_THRESHOLD = env.number("PERFORMANCE_DEGRADATION_THRESHOLD", 0.05, low=0, high=1)
MIN_SAMPLES_FOR_MONITORING = env.integer("MIN_SAMPLES_FOR_MONITORING", 100, low=1, high=1_000_000)
# So many new answers and labels make a look before the schedule's next; 0 leaves all to the schedule.
MONITORING_CHECK_AFTER = env.integer("MONITORING_CHECK_AFTER", MIN_SAMPLES_FOR_MONITORING, low=0, high=100_000_000)
# How long what was logged may wait to be added up, unless a batch rings. Beat's every message costs a SQLite file more.
FOLD_SECS = env.number("FOLD_SECS", 1.0 if env.text("REDIS_URL") else 5.0, low=0.2, high=600)
PREDICTION_RETENTION_DAYS = env.integer("PREDICTION_RETENTION_DAYS", 0, low=0, high=36_600)  # 0: for good
FEATURE_RETENTION_DAYS = env.integer("FEATURE_RETENTION_DAYS", 0, low=0, high=36_600)  # 0: as long as predictions
DELIVERY_RETENTION_DAYS = env.integer("DELIVERY_RETENTION_DAYS", 180, low=0, high=36_600)  # 0: for good
LABEL_WAIT_DAYS = env.integer("LABEL_WAIT_DAYS", 365, low=0, high=36_600)  # for their prediction; 0: for good
LABELS_WAITING_MAX = env.integer("LABELS_WAITING_MAX", 1_000_000, low=1, high=10**9)  # of each model
# Beyond these, logging answers 429: rows a minute of a token and of its team, and items that no profile holds yet.
TOKEN_ROWS_A_MINUTE = env.integer("TOKEN_ROWS_A_MINUTE", 3_000_000, low=10_000, high=10**9)
TEAM_ROWS_A_MINUTE = env.integer("TEAM_ROWS_A_MINUTE", 6_000_000, low=10_000, high=10**9)
FOLD_QUEUE_MAX = env.integer("FOLD_QUEUE_MAX", 2_000_000, low=10_000, high=10**9)
METRICS_NETWORKS = env.networks("METRICS_NETWORKS")  # whose machines may read /metrics without a token
EVIDENTLY_WORKSPACE = env.folder("EVIDENTLY_WORKSPACE")  # where each report is saved as a file too
# The operator's own address: it may be private, and plain HTTP.
MONITORING_WEBHOOK_URL = env.address("MONITORING_WEBHOOK_URL", schemes=("http://", "https://"))

# What this site is called outside: links in messages begin with it.
PUBLIC_URL = env.address("PUBLIC_URL", schemes=("https://", "http://"))
EMAIL_HOST = env.text("EMAIL_HOST")  # without one nothing is mailed
EMAIL_PORT = env.integer("EMAIL_PORT", 25, low=1, high=65_535)
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = env.text("EMAIL_HOST_USER"), env.text("EMAIL_HOST_PASSWORD")
EMAIL_USE_TLS, EMAIL_USE_SSL = env.flag("EMAIL_USE_TLS", False), env.flag("EMAIL_USE_SSL", False)
if EMAIL_USE_TLS and EMAIL_USE_SSL:
    raise ImproperlyConfigured("EMAIL_USE_TLS (STARTTLS) and EMAIL_USE_SSL must not both be set")
MAIL_DOMAIN = urlsplit(PUBLIC_URL).hostname or "steward.localhost"
DEFAULT_FROM_EMAIL = env.text("EMAIL_FROM", f"Steward <steward@{MAIL_DOMAIN}>")
EMAIL_TIMEOUT = 5
# Who sends what core keeps to be delivered, by the first word of its channel.
DELIVERERS = {"mail": "mlops_site.core.mail.deliver", "channel": "monitoring.channels.delivery.deliver"}
CHANNEL_HOSTS = env.words("CHANNEL_HOSTS")  # hosts, or host:port, that channels may reach in private and by plain HTTP
APPRISE_URLS = entries.addresses("APPRISE_URLS")

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "mlops_site.core.api.auth.BearerAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["mlops_site.core.api.parsers.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PAGINATION_CLASS": "mlops_site.core.api.pagination.Pages",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "mlops_site.core.api.problem.handle",
    "UNAUTHENTICATED_USER": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Steward",
    "DESCRIPTION": "Train, approve, serve, watch and prove: every operation of the site.",
    "VERSION": "1",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.IsAuthenticated"],
    "PREPROCESSING_HOOKS": ["mlops_site.api.schema.add_predict"],
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {
        "handlers": ["stderr"],
        "level": env.choice("LOG_LEVEL", "WARNING", ("DEBUG", "INFO", "WARNING", "ERROR")),
    },
    # Their details hold the signed headers of requests to the store of artifacts.
    "loggers": {name: {"level": "WARNING"} for name in ("boto3", "botocore", "s3transfer", "urllib3")},
}

UNFOLD = {
    "SITE_TITLE": "Steward",
    "SITE_HEADER": "Steward",
    "SITE_URL": reverse_lazy("home"),
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "STYLES": [lambda request: "/static/css/steward.css"],
    "LOGIN": {"form": "mlops_site.core.forms.LoginForm"},
    "SIDEBAR": {"show_search": False, "navigation": "mlops_site.pages.navigation.sidebar"},
}
