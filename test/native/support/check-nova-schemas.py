"""Holds bodies against the response schemas that tempest publishes.

Standard input: a JSON list of {"kind", "version", "body"}. For each kind the schema is the newest one that is not newer
than the version, as tempest's clients choose it. Standard output: one line per complaint.
"""

import importlib
import json
import pkgutil
import sys

import jsonschema
from tempest.lib.api_schema import response
from tempest.lib.common import jsonschema_validator

# Where each kind of body is described: the module's name and the name of the schema in it.
KINDS = {
    'server': ('servers', 'get_server'),
    'servers': ('servers', 'list_servers'),
    'servers-detail': ('servers', 'list_servers_detail'),
    'flavor': ('flavors', 'create_update_get_flavor_details'),
    'flavors-detail': ('flavors', 'list_flavors_details'),
    'migrations': ('migrations', 'list_migrations'),
    'hypervisors': ('hypervisors', 'list_search_hypervisors'),
    'hypervisors-detail': ('hypervisors', 'list_hypervisors_detail'),
    'hypervisor': ('hypervisors', 'get_hypervisor'),
    'services': ('services', 'list_services'),
    'aggregates': ('aggregates', 'list_aggregates'),
    'aggregate': ('aggregates', 'get_aggregate'),
    'zones': ('availability_zone', 'list_availability_zone_list'),
    'zones-detail': ('availability_zone', 'list_availability_zone_list_detail'),
    'groups': ('server_groups', 'list_server_groups'),
    'group': ('server_groups', 'create_show_server_group'),
    'actions': ('servers', 'list_instance_actions'),
    'action': ('servers', 'show_instance_action'),
}


def folders():
    """(minor version, package) of every folder of schemas, newest first."""
    package = importlib.import_module('tempest.lib.api_schema.response.compute')
    names = [name for _, name, _ in pkgutil.iter_modules(package.__path__)]
    return sorted(((int(name.split('_')[1]), name) for name in names), reverse=True)


def schema_of(kind, version):
    module_name, schema_name = KINDS[kind]
    for minor, folder in folders():
        if minor > version:
            continue
        path = '%s.compute.%s.%s' % (response.__name__, folder, module_name)
        try:
            found = getattr(importlib.import_module(path), schema_name, None)
        except ModuleNotFoundError:
            continue
        if found is not None:
            return found['response_body']
    raise LookupError('no schema for %s at 2.%d' % (kind, version))


for case in json.load(sys.stdin):
    schema = schema_of(case['kind'], case['version'])
    validator = jsonschema_validator.JSONSCHEMA_VALIDATOR(
        schema, format_checker=jsonschema_validator.FORMAT_CHECKER)
    for error in validator.iter_errors(case['body']):
        path = '/'.join(str(part) for part in error.absolute_path)
        print('%s 2.%d %s: %s' % (case['kind'], case['version'], path, error.message))
