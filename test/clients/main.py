"""A client that was not written with Millrace's code: it learns the API by reflection, logs a run, registers a model
and infers. Usage: python main.py '{"tracking": "host:port", …}'"""

import json
import math
import sys
import time

import grpc
import oip
from bad_input import sweep
from checks import check, equal, summary
from model import linear_model
from reflected import Refused, Server

PROJECT = "projects/default"
TRACKING = "millrace.tracking.v1.TrackingService"
REGISTRY = "millrace.registry.v1.RegistryService"
DEPLOYMENTS = "millrace.serving.v1.DeploymentService"
OWN = {
    "tracking": [TRACKING],
    "registry": [REGISTRY, "millrace.registry.v1.LineageService"],
    "features": ["millrace.features.v1.FeatureStoreService"],
    "pipelines": [f"millrace.pipelines.v1.{n}Service" for n in ("Pipeline", "PipelineRun", "Schedule", "Trigger")],
    "serving": [DEPLOYMENTS, oip.SERVICE],
    "monitoring": ["millrace.monitoring.v1.MonitoringService"],
}
EVERYWHERE = ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "millrace.common.v1.EventLogService"]


def lists_services(server: Server, context: str):
    found = server.services()
    missing = [name for name in OWN[context] + EVERYWHERE if name not in found]
    equal(missing, [])
    equal(server.call("grpc.health.v1.Health", "Check", service="").status, 1)


def logs_a_run(tracking: Server) -> str:
    experiment = tracking.call(
        TRACKING, "CreateExperiment", parent=PROJECT, experiment={"display_name": "a foreign client"}
    ).experiment
    run = tracking.call(
        TRACKING, "CreateRun", parent=PROJECT, run={"experiment": experiment.name, "display_name": "first"}
    ).run
    points = [{"key": "loss", "value": 1 / (step + 1), "step": step, "timestamp_ms": 1_000 + step} for step in range(250)]
    points += [{"key": "odd", "value": math.nan, "step": 0}, {"key": "odd", "value": math.inf, "step": 1}]
    batch = {"name": run.name, "metrics": points, "params": [{"key": "rate", "value": "0.1"}], "request_id": "batch-1"}
    tracking.call(TRACKING, "LogBatch", **batch)
    equal(tracking.call(TRACKING, "LogBatch", **batch).duplicate, True)
    equal(tracking.call(TRACKING, "FinishRun", name=run.name).run.status, 3)
    query = "metrics.loss < 0.005 AND params.rate = '0.1'"
    found = tracking.call(TRACKING, "SearchRuns", parent=PROJECT, filter=query, experiments=[experiment.name])
    equal([r.name for r in found.runs], [run.name])
    return run.name


def reads_a_history(tracking: Server, run: str):
    points, token = [], ""
    while True:
        page = tracking.call(TRACKING, "GetMetricHistory", name=run, key="loss", page_size=100, page_token=token)
        points += page.points
        token = page.next_page_token
        if not token:
            break
    equal([p.step for p in points], list(range(250)))
    equal([p.value for p in points], [1 / (step + 1) for step in range(250)])
    odd = tracking.call(TRACKING, "GetMetricHistory", name=run, key="odd").points
    equal([math.isnan(odd[0].value), odd[1].value], [True, math.inf])


def registers_a_model(registry: Server, run: str) -> str:
    model = registry.call(REGISTRY, "CreateModel", parent=PROJECT, model_id="foreign").model
    file = linear_model()
    header = {"parent": model.name, "model_version": {"source_run": run, "description": "made by onnx"}}
    parts = [{"header": header}] + [{"chunk": file[i : i + 64]} for i in range(0, len(file), 64)]
    version = registry.call(REGISTRY, "UploadModelVersion", parts).model_version
    equal((version.state, list(version.state_reasons)), (2, []))
    equal([(t.name, list(t.shape)) for t in version.signature.inputs], [("x", [-1, 3])])
    back = registry.call(REGISTRY, "DownloadModelVersion", name=version.name)
    equal(b"".join(part.chunk for part in back), file)
    alias = registry.call(REGISTRY, "SetAlias", name=f"{model.name}/aliases/champion", version=1).alias
    equal(alias.model_version, f"{model.name}/versions/1")
    return model.name


def deploys(serving: Server, model: str):
    targets = [{"model": model, "alias": "champion", "weight": 1}]
    serving.call(
        DEPLOYMENTS, "CreateDeployment", parent=PROJECT, deployment_id="foreign", deployment={"targets": targets}
    )
    for _ in range(200):
        deployment = serving.call(DEPLOYMENTS, "GetDeployment", name=f"{PROJECT}/deployments/foreign").deployment
        if deployment.target_statuses and deployment.target_statuses[0].state == 2:
            return
        time.sleep(0.1)
    raise AssertionError(f"not ready after 20 s: {deployment.target_statuses}")


def is_told_what_was_wrong(tracking: Server, run: str):
    try:
        tracking.call(TRACKING, "LogBatch", name=run, metrics=[{"key": "ok"}, {"key": ""}], request_id="no spaces")
    except Refused as refused:
        equal(refused.code, grpc.StatusCode.INVALID_ARGUMENT)
        equal(refused.reason, "INVALID_FIELD")
        equal(sorted(refused.violations), ["metrics[1].key", "request_id"])
        return
    raise AssertionError("a wrong batch was taken")


def main(addresses) -> int:
    servers = {context: Server(address) for context, address in addresses.items()}
    for context, server in servers.items():
        check(f"{context} lists its services by reflection and is healthy", lists_services, server, context)
    run = check("a run is logged, once for each request id, finished and found", logs_a_run, servers["tracking"])
    check("the history of a metric comes back whole, page by page", reads_a_history, servers["tracking"], run)
    check("bad input is INVALID_ARGUMENT with its fields", is_told_what_was_wrong, servers["tracking"], run)
    model = check("a model is registered and gets an alias", registers_a_model, servers["registry"], run)
    check("a deployment follows the alias", deploys, servers["serving"], model)
    check("it infers by the Open Inference Protocol", oip.infers_by_reflection, servers["serving"], "foreign")
    check("it is told which input is wrong", oip.refuses_wrong_inputs, servers["serving"], "foreign")
    check("tritonclient reads the model's metadata", oip.triton_reads_metadata, addresses["serving"], "foreign")
    check("tritonclient infers", oip.triton_infers, addresses["serving"], "foreign")
    for context, server in servers.items():
        own = [name for name in OWN[context] if name.startswith("millrace.")] + EVERYWHERE[2:]
        count = check(f"{context} refuses each broken field and names it", sweep, server, own)
        if count:
            print(f"    {count} broken requests")
    return summary()


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
