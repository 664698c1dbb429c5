"""Django settings. Every outside value comes from the checked environment (`nerapp.env`)."""

from __future__ import annotations

import tomllib
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import dj_database_url
from csp.constants import NONCE, NONE, SELF

from nerapp import env
from nerapp.api_words import DESCRIPTION, TAGS
from nerapp.logs import logging_config
from nerapp.schedule import BEAT

ENV = env.load()
BASE_DIR = Path(__file__).resolve().parent.parent
IN_PRODUCTION = ENV.env == "production"
VERSION: str = tomllib.loads((BASE_DIR / "pyproject.toml").read_text("utf-8"))["project"]["version"]

# --- Django ------------------------------------------------------------------------------------------
SECRET_KEY = ENV.secret_key.get_secret_value()
SECRET_KEY_FALLBACKS = list(ENV.secret_key_fallbacks)
DEBUG = ENV.debug
ALLOWED_HOSTS = list(ENV.allowed_hosts)
CSRF_TRUSTED_ORIGINS = list(ENV.csrf_trusted_origins)
ROOT_URLCONF = "nerapp.urls"
WSGI_APPLICATION = "nerapp.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SITE_ID = 1

INSTALLED_APPS = [
    "nerapp.apps.NerappAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.contrib.postgres",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "axes",
    "corsheaders",
    "csp",
    "pgtrigger",
    "pghistory",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_prometheus",
    "audit",
    "corpus",
    "inference",
    "feedback",
    "labeling",
    "retraining",
    "webhooks",
    "nerapp.apps.NerappConfig",
]

MIDDLEWARE = [
    "nerapp.middleware.RequestIdMiddleware",
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django_permissions_policy.PermissionsPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "nerapp.middleware.LanguageMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "pghistory.middleware.HistoryMiddleware",
    "axes.middleware.AxesMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]

#: What the JSON of the API passes instead (see wsgi.py): it comes with a key, never with a session, a form or
#: a page, and each layer is felt in every answer.
API_MIDDLEWARE = [
    "nerapp.middleware.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "nerapp.middleware.LanguageMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

# Whose pages may call the API from a browser. A key is no cookie, so nothing is sent along unasked.
CORS_ALLOWED_ORIGINS = list(ENV.cors_allowed_origins)
CORS_URLS_REGEX = r"^/api/v1/"
CORS_ALLOW_METHODS = ["GET", "POST", "OPTIONS"]
CORS_ALLOW_HEADERS = [
    *("accept", "authorization", "content-type", "idempotency-key", "if-match"),
    *("x-canary", "x-request-id"),
]
CORS_EXPOSE_HEADERS = [
    *("RateLimit", "RateLimit-Policy", "Retry-After", "X-RateLimit-Limit", "X-RateLimit-Remaining"),
    *("X-RateLimit-Reset", "X-RateLimit-Degraded", "X-Request-Id"),
]
CORS_PREFLIGHT_MAX_AGE = 3600
if CORS_ALLOWED_ORIGINS:
    API_MIDDLEWARE.insert(1, "corsheaders.middleware.CorsMiddleware")

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
    }
]

# --- Data --------------------------------------------------------------------------------------------


def _database(url: str) -> dict[str, Any]:
    config: dict[str, Any] = dict(dj_database_url.parse(url, conn_max_age=600, conn_health_checks=True))
    config["OPTIONS"] = {
        **config.get("OPTIONS", {}),
        "connect_timeout": 3,
        # A stuck query or a forgotten transaction must not hold a thread or a row for ever.
        "options": "-c statement_timeout=15s -c lock_timeout=5s -c idle_in_transaction_session_timeout=60s",
    }
    return config


# Two roles: the application runs as `default`; only `manage.py prepare_database` uses `owner`.
DATABASES = {"default": _database(ENV.database_url)}
if ENV.database_owner_url:
    DATABASES["owner"] = _database(ENV.database_owner_url)
    DATABASES["owner"]["OPTIONS"]["options"] = "-c lock_timeout=5s"
    DATABASES["owner"]["TEST"] = {"MIRROR": "default"}

CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": ENV.cache_url,
        "TIMEOUT": 300,
        "OPTIONS": {"socket_timeout": 0.5, "socket_connect_timeout": 0.5},
    }
}
REDIS_URL = ENV.redis_url
CACHE_URL = ENV.cache_url

#: Bundles of trained versions and MLflow's artifacts.
DATA_DIR = ENV.data_dir
#: What the processes of one machine have in common while they run.
RUN_DIR = ENV.home / "run"
WEB_THREADS = ENV.web_threads
#: Bundled base models.
MODELS_DIR = ENV.models_dir
#: Labelled and unlabelled texts that come with nerapp: general, orchard, rehearsal, demo.
CORPORA_DIR = BASE_DIR / "corpora"
MLFLOW_TRACKING_URI = ENV.mlflow_tracking_uri
API_KEY_PEPPER = ENV.api_key_pepper.get_secret_value()

LIMITS = {
    "predict_characters": 100_000,
    "document_characters": 1_000_000,
    "batch_texts": 1_000,
    "spans": 10_000,
    "json_depth": 32,
    "predict_body_bytes": 2 * 1024 * 1024,
    "batch_body_bytes": 32 * 1024 * 1024,
    "feedback_body_bytes": 8 * 1024 * 1024,
    "metadata_characters": 100_000,
    # Streamed to the disk: no process ever holds such a body in memory.
    "upload_bytes": ENV.upload_limit_bytes,
    "job_bytes": ENV.job_limit_bytes,
}
DATA_UPLOAD_MAX_MEMORY_SIZE = max(v for k, v in LIMITS.items() if k.endswith("_body_bytes"))
DATA_UPLOAD_MAX_NUMBER_FIELDS = 1000
FILE_UPLOAD_HANDLERS = [
    "nerapp.uploads.SizeRefused",
    "django.core.files.uploadhandler.MemoryFileUploadHandler",
    "django.core.files.uploadhandler.TemporaryFileUploadHandler",
]

#: Seconds after which a process must serve what a promotion chose (measured: tests/services).
DEPLOYMENT_POLL_SECONDS = 1.0
#: A claimed review task goes back to the queue after this many seconds without renewal.
TASK_LEASE_SECONDS = 300
#: A training process that has not written its heartbeat for this long is taken for dead.
RUN_LEASE_SECONDS = 60
RUN_MAX_ATTEMPTS = 3
#: A worker on an import or export that has not said so for this long is taken for dead.
TRANSFER_LEASE_SECONDS = 15
#: Uploaded and exported files are removed after so many days of rest.
TRANSFER_KEEP_DAYS = 7
#: A worker on a chunk of a bulk prediction that has not said so for this long is taken for dead.
JOB_LEASE_SECONDS = 20
#: So many workers may be at one bulk prediction; the others are left to other callers.
JOB_WORKERS = 8
#: So many unfinished bulk predictions a key may have.
JOBS_PER_KEY = 20
#: Results of bulk predictions are removed after so many days.
JOB_KEEP_DAYS = ENV.job_keep_days
#: For how long web processes share what they recognised, by Redis; 0: not at all.
SHARED_CACHE_SECONDS = ENV.shared_cache_seconds
#: `durable`: a prediction is a row before it is told; `stream`: it waits in Redis for a moment (ADR 7).
PREDICTION_RECORDING = ENV.prediction_recording
#: So much may wait in Redis; what comes then is a row before it is told.
STREAM_LIMIT_BYTES = 64 * 1024 * 1024
#: So much F1 a cascade may lose against its better version, to hand on fewer texts.
CASCADE_MARGIN = ENV.cascade_margin
#: What a shadow said of single texts is kept for so many days; its numbers stay.
SHADOW_KEEP_DAYS = 30
#: Where webhooks may lead, besides the public internet by https (webhooks/addresses.py).
WEBHOOK_ALLOW_HTTP = ENV.webhook_allow_http
WEBHOOK_PORTS = frozenset(ENV.webhook_ports)
WEBHOOK_NETWORKS = [ip_network(network) for network in ENV.webhook_networks]
#: Where people open nerapp: links in messages lead there; without it messages have none.
SITE_URL = ENV.site_url or ""
#: The mail server of notifications; without one nobody is mailed.
MAIL_SERVER = ENV.email_url or ""
MAIL_FROM = ENV.email_from
#: Nothing else mails: Django's own doors lead nowhere.
EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
#: Events of so many seconds are one message to people.
NOTIFY_GROUP_SECONDS = ENV.notify_group_seconds
#: What webhooks were told is remembered for so many days.
WEBHOOK_KEEP_DAYS = 30

# --- Work --------------------------------------------------------------------------------------------
CELERY_BROKER_URL = ENV.redis_url
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SERIALIZER = "json"
CELERY_EVENT_SERIALIZER = "json"
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_MAX_TASKS_PER_CHILD = 100
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 10
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_ENABLE_REMOTE_CONTROL = not IN_PRODUCTION
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 2}
CELERY_BROKER_TRANSPORT_OPTIONS = {
    # Longer than any task with a time limit; training has none and is fenced by its lease in the database.
    "visibility_timeout": 7200,
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    # A hung Redis must not hang the request that publishes.
    "socket_timeout": 2,
    "socket_connect_timeout": 2,
    "health_check_interval": 10,
}
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_ROUTES = {
    # Seconds count: a worker of their own, where no import is before them.
    "retraining.tasks.rollouts_check": {"queue": "control"},
    "retraining.tasks.experiments_check": {"queue": "control"},
    "inference.tasks.job_work": {"queue": "predict"},
    "inference.tasks.shadows_read": {"queue": "predict"},
    "retraining.tasks.run_execute": {"queue": "train"},
    # The only other task that imports MLflow.
    "retraining.tasks.tracking_sync": {"queue": "train"},
}
CELERY_BEAT_SCHEDULE = BEAT

# --- People ------------------------------------------------------------------------------------------
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_ADAPTER = "nerapp.accounts.ClosedSignup"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_PREVENT_ENUMERATION = True
# django-axes counts failed sign-ins exactly; allauth's own counter is not atomic.
ACCOUNT_RATE_LIMITS = {"login_failed": None}
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
AXES_FAILURE_LIMIT = 6
AXES_COOLOFF_TIME = 0.25
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_IPWARE_PROXY_COUNT = ENV.trusted_proxies or None
AXES_HTTP_RESPONSE_CODE = 429
# --- Safety ------------------------------------------------------------------------------------------
SESSION_ENGINE = "django.contrib.sessions.backends.db"
SESSION_COOKIE_AGE = 8 * 3600
SESSION_SAVE_EVERY_REQUEST = False
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = IN_PRODUCTION
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
if IN_PRODUCTION:
    SESSION_COOKIE_NAME = "__Host-session"
    CSRF_COOKIE_NAME = "__Host-csrf"
    SECURE_SSL_REDIRECT = True
    SECURE_REDIRECT_EXEMPT = [r"^api/v1/(live|ready)$"]
    SECURE_HSTS_SECONDS = 365 * 24 * 3600
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    if ENV.trusted_proxies:
        SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF, NONCE],
        "style-src": [SELF, NONCE],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "manifest-src": [SELF],
    }
}
PERMISSIONS_POLICY: dict[str, list[str]] = {
    name: [] for name in ("camera", "geolocation", "microphone", "payment", "usb")
}

# --- API ---------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["inference.authentication.ApiKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["inference.authentication.HasScope", "nerapp.api.WellFormedRequest"],
    "DEFAULT_THROTTLE_CLASSES": ["inference.limits.KeyRateLimit"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "nerapp.api.JSONAlways",
    "DEFAULT_PARSER_CLASSES": ["nerapp.api.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["nerapp.api.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "nerapp.api.problem_response",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "nerapp",
    "DESCRIPTION": DESCRIPTION,
    "TAGS": TAGS,
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "POSTPROCESSING_HOOKS": ["nerapp.openapi.problems_add"],
    "ENABLE_DJANGO_DEPLOY_CHECK": False,
}

# --- Pages -------------------------------------------------------------------------------------------
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True
#: Each by its own name. A new one: CONTRIBUTING.md, "Translations".
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
LOCALE_PATHS = [BASE_DIR / "locale"]
LANGUAGE_COOKIE_NAME = "language"
LANGUAGE_COOKIE_AGE = 365 * 24 * 3600
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_SECURE = IN_PRODUCTION
FORMAT_MODULE_PATH = "nerapp.formats"
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    # Outside production the files are served where they lie: no collectstatic between an edit and a reload.
    "staticfiles": {
        "BACKEND": "nerapp.storage.HashedStaticFiles"
        if IN_PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = WHITENOISE_AUTOREFRESH = not IN_PRODUCTION
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"
INSTALLED_APPS.insert(0, "django.forms")

# --- Watching ----------------------------------------------------------------------------------------
LOGGING_CONFIG = None
logging_config(level=ENV.log_level, style=ENV.log_format)

# --- History (django-pghistory): what exactly changed in the tables that matter -------------------------
PGHISTORY_APPEND_ONLY = True
