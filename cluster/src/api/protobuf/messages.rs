//! The messages of `generated.proto`, as far as clients fill them.

use super::{Kind, Message};

const META: &Message = &[
    (1, "name", Kind::Text),
    (2, "generateName", Kind::Text),
    (3, "namespace", Kind::Text),
    (4, "selfLink", Kind::Text),
    (5, "uid", Kind::Text),
    (6, "resourceVersion", Kind::Text),
    (7, "generation", Kind::Number),
    (8, "creationTimestamp", Kind::Time),
    (9, "deletionTimestamp", Kind::Time),
    (10, "deletionGracePeriodSeconds", Kind::Pointer),
    (11, "labels", Kind::TextMap),
    (12, "annotations", Kind::TextMap),
    (14, "finalizers", Kind::Texts),
];
const NAMESPACE: &Message = &[
    (1, "metadata", Kind::Message(META)),
    (2, "spec", Kind::Message(&[(1, "finalizers", Kind::Texts)])),
    (3, "status", Kind::Ignored),
];
const CONFIG_MAP: &Message = &[
    (1, "metadata", Kind::Message(META)),
    (2, "data", Kind::TextMap),
    (3, "binaryData", Kind::BytesMap),
    (4, "immutable", Kind::FlagPointer),
];
const SECRET: &Message = &[
    (1, "metadata", Kind::Message(META)),
    (2, "data", Kind::BytesMap),
    (3, "type", Kind::Text),
    (4, "stringData", Kind::TextMap),
    (5, "immutable", Kind::FlagPointer),
];
const REFERENCE: &Message = &[(1, "name", Kind::Text)];
const SERVICE_ACCOUNT: &Message = &[
    (1, "metadata", Kind::Message(META)),
    (3, "imagePullSecrets", Kind::Messages(REFERENCE)),
    (4, "automountServiceAccountToken", Kind::FlagPointer),
];
const SERVICE_PORT: &Message = &[
    (1, "name", Kind::Text),
    (2, "protocol", Kind::Text),
    (3, "port", Kind::Number),
    (4, "targetPort", Kind::IntOrString),
    (5, "nodePort", Kind::Number),
    (6, "appProtocol", Kind::Text),
];
const SERVICE: &Message = &[
    (1, "metadata", Kind::Message(META)),
    (
        2,
        "spec",
        Kind::Message(&[
            (1, "ports", Kind::Messages(SERVICE_PORT)),
            (2, "selector", Kind::TextMap),
            (3, "clusterIP", Kind::Text),
            (4, "type", Kind::Text),
            (5, "externalIPs", Kind::Texts),
            (7, "sessionAffinity", Kind::Text),
            (8, "loadBalancerIP", Kind::Text),
            (9, "loadBalancerSourceRanges", Kind::Texts),
            (10, "externalName", Kind::Text),
            (11, "externalTrafficPolicy", Kind::Text),
            (12, "healthCheckNodePort", Kind::Number),
            (13, "publishNotReadyAddresses", Kind::Flag),
            (18, "clusterIPs", Kind::Texts),
            (19, "ipFamilies", Kind::Texts),
        ]),
    ),
    (3, "status", Kind::Ignored),
];
const SELECTOR: &Message = &[
    (1, "matchLabels", Kind::TextMap),
    (
        2,
        "matchExpressions",
        Kind::Messages(&[(1, "key", Kind::Text), (2, "operator", Kind::Text), (3, "values", Kind::Texts)]),
    ),
];
const CONTAINER_PORT: &Message = &[
    (1, "name", Kind::Text),
    (2, "hostPort", Kind::Number),
    (3, "containerPort", Kind::Number),
    (4, "protocol", Kind::Text),
    (5, "hostIP", Kind::Text),
];
const CONTAINER: &Message = &[
    (1, "name", Kind::Text),
    (2, "image", Kind::Text),
    (3, "command", Kind::Texts),
    (4, "args", Kind::Texts),
    (5, "workingDir", Kind::Text),
    (6, "ports", Kind::Messages(CONTAINER_PORT)),
    (7, "env", Kind::Messages(&[(1, "name", Kind::Text), (2, "value", Kind::Text)])),
    (8, "resources", Kind::Message(&[])),
    (13, "terminationMessagePath", Kind::Text),
    (14, "imagePullPolicy", Kind::Text),
    (16, "stdin", Kind::Flag),
    (17, "stdinOnce", Kind::Flag),
    (18, "tty", Kind::Flag),
    (20, "terminationMessagePolicy", Kind::Text),
];
const POD_SPEC: &Message = &[
    (2, "containers", Kind::Messages(CONTAINER)),
    (3, "restartPolicy", Kind::Text),
    (4, "terminationGracePeriodSeconds", Kind::Pointer),
    (5, "activeDeadlineSeconds", Kind::Pointer),
    (6, "dnsPolicy", Kind::Text),
    (7, "nodeSelector", Kind::TextMap),
    (8, "serviceAccountName", Kind::Text),
    (9, "serviceAccount", Kind::Text),
    (10, "nodeName", Kind::Text),
    (11, "hostNetwork", Kind::Flag),
    (12, "hostPID", Kind::Flag),
    (13, "hostIPC", Kind::Flag),
    (15, "imagePullSecrets", Kind::Messages(REFERENCE)),
    (16, "hostname", Kind::Text),
    (17, "subdomain", Kind::Text),
    (19, "schedulerName", Kind::Text),
    (20, "initContainers", Kind::Messages(CONTAINER)),
    (24, "priorityClassName", Kind::Text),
];
const TEMPLATE: &Message = &[(1, "metadata", Kind::Message(META)), (2, "spec", Kind::Message(POD_SPEC))];
const DEPLOYMENT: &Message = &[
    (1, "metadata", Kind::Message(META)),
    (
        2,
        "spec",
        Kind::Message(&[
            (1, "replicas", Kind::Pointer),
            (2, "selector", Kind::Message(SELECTOR)),
            (3, "template", Kind::Message(TEMPLATE)),
            (
                4,
                "strategy",
                Kind::Message(&[
                    (1, "type", Kind::Text),
                    (
                        2,
                        "rollingUpdate",
                        Kind::Message(&[
                            (1, "maxUnavailable", Kind::IntOrString),
                            (2, "maxSurge", Kind::IntOrString),
                        ]),
                    ),
                ]),
            ),
            (5, "minReadySeconds", Kind::Number),
            (6, "revisionHistoryLimit", Kind::Pointer),
            (7, "paused", Kind::Flag),
            (9, "progressDeadlineSeconds", Kind::Pointer),
        ]),
    ),
    (3, "status", Kind::Ignored),
];
const TARGET_REFERENCE: &Message =
    &[(1, "kind", Kind::Text), (2, "name", Kind::Text), (3, "apiVersion", Kind::Text)];
const AUTOSCALER_V1: &Message = &[
    (1, "metadata", Kind::Message(META)),
    (
        2,
        "spec",
        Kind::Message(&[
            (1, "scaleTargetRef", Kind::Message(TARGET_REFERENCE)),
            (2, "minReplicas", Kind::Pointer),
            (3, "maxReplicas", Kind::Number),
            (4, "targetCPUUtilizationPercentage", Kind::Pointer),
        ]),
    ),
    (3, "status", Kind::Ignored),
];
/// Of the sources of metrics, the one that `kubectl autoscale` knows.
const AUTOSCALER_V2: &Message = &[
    (1, "metadata", Kind::Message(META)),
    (
        2,
        "spec",
        Kind::Message(&[
            (1, "scaleTargetRef", Kind::Message(TARGET_REFERENCE)),
            (2, "minReplicas", Kind::Pointer),
            (3, "maxReplicas", Kind::Number),
            (
                4,
                "metrics",
                Kind::Messages(&[
                    (1, "type", Kind::Text),
                    (
                        4,
                        "resource",
                        Kind::Message(&[
                            (1, "name", Kind::Text),
                            (
                                2,
                                "target",
                                Kind::Message(&[
                                    (1, "type", Kind::Text),
                                    (2, "value", Kind::Quantity),
                                    (3, "averageValue", Kind::Quantity),
                                    (4, "averageUtilization", Kind::Pointer),
                                ]),
                            ),
                        ]),
                    ),
                ]),
            ),
        ]),
    ),
    (3, "status", Kind::Ignored),
];
const DISRUPTION_BUDGET: &Message = &[
    (1, "metadata", Kind::Message(META)),
    (
        2,
        "spec",
        Kind::Message(&[
            (1, "minAvailable", Kind::IntOrString),
            (2, "selector", Kind::Message(SELECTOR)),
            (3, "maxUnavailable", Kind::IntOrString),
            (4, "unhealthyPodEvictionPolicy", Kind::Text),
        ]),
    ),
    (3, "status", Kind::Ignored),
];
const DELETE_OPTIONS: &Message = &[
    (1, "gracePeriodSeconds", Kind::Pointer),
    (2, "preconditions", Kind::Message(&[(1, "uid", Kind::Text), (2, "resourceVersion", Kind::Text)])),
    (3, "orphanDependents", Kind::FlagPointer),
    (4, "propagationPolicy", Kind::Text),
    (5, "dryRun", Kind::Texts),
];

/// The message of a kind; none if it is not decoded.
pub fn message(api_version: &str, kind: &str) -> Option<&'static Message> {
    Some(match (api_version, kind) {
        ("v1", "Namespace") => NAMESPACE,
        ("v1", "ConfigMap") => CONFIG_MAP,
        ("v1", "Secret") => SECRET,
        ("v1", "ServiceAccount") => SERVICE_ACCOUNT,
        ("v1", "Service") => SERVICE,
        ("apps/v1", "Deployment") => DEPLOYMENT,
        ("autoscaling/v1", "HorizontalPodAutoscaler") => AUTOSCALER_V1,
        ("autoscaling/v2", "HorizontalPodAutoscaler") => AUTOSCALER_V2,
        ("policy/v1", "PodDisruptionBudget") => DISRUPTION_BUDGET,
        (_, "DeleteOptions") => DELETE_OPTIONS,
        _ => return None,
    })
}
