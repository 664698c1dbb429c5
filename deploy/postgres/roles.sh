#!/bin/sh
# Runs once, in an empty database: the role that migrates, the role that runs, and their databases.
set -eu
psql --set ON_ERROR_STOP=1 --username postgres \
    --set owner_password="$(cat /run/secrets/owner_password)" \
    --set app_password="$(cat /run/secrets/app_password)" <<'SQL'
CREATE ROLE nerapp_owner LOGIN PASSWORD :'owner_password';
CREATE ROLE nerapp_app LOGIN PASSWORD :'app_password';
CREATE DATABASE nerapp OWNER nerapp_owner;
CREATE DATABASE mlflow OWNER nerapp_app;
SQL
