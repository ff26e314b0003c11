from kubernetes import client, config, watch

config.load_kube_config()
core, apps = client.CoreV1Api(), client.AppsV1Api()

labels = {"app": "py"}
deployment = {
    "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "py"},
    "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": {
        "metadata": {"labels": labels},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [
            {"name": "main", "image": "busybox", "command": ["sh", "-c", "echo hello; exec sleep 1000"]}]}}},
}
apps.create_namespaced_deployment("default", deployment)

for event in watch.Watch().stream(apps.list_namespaced_deployment, "default", timeout_seconds=60):
    if event["object"].status.ready_replicas == 1:
        break
else:
    raise SystemExit("the Deployment did not become ready")

pods = core.list_namespaced_pod("default", label_selector="app=py").items
assert len(pods) == 1 and pods[0].status.phase == "Running", pods
assert "hello" in core.read_namespaced_pod_log(pods[0].metadata.name, "default")

scale = apps.patch_namespaced_deployment_scale("py", "default", {"spec": {"replicas": 2}})
assert scale.spec.replicas == 2, scale
for event in watch.Watch().stream(apps.list_namespaced_deployment, "default", timeout_seconds=60):
    if event["object"].status.ready_replicas == 2:
        break
else:
    raise SystemExit("the Deployment was not scaled")

replaced = apps.read_namespaced_deployment("py", "default")
replaced.spec.replicas = 0
apps.replace_namespaced_deployment("py", "default", replaced)
try:
    apps.replace_namespaced_deployment("py", "default", replaced)
    raise SystemExit("a stale version was accepted")
except client.ApiException as error:
    assert error.status == 409, error

apps.delete_namespaced_deployment("py", "default")
core.create_namespaced_config_map("default", {"metadata": {"name": "c"}, "data": {"a": "1"}})
patched = core.patch_namespaced_config_map("c", "default", [{"op": "replace", "path": "/data/a", "value": "2"}])
assert patched.data == {"a": "2"}, patched
print("done")
