//! Checks that the files in `deploy` fit the program.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use clap::Parser;
use conntrack_exporter::args::Cli;
use ctnetlink::{NewFlow, Tuple};
use serde::Deserialize;
use serde_json::Value;

use crate::process::{Process, Scratch, connect, eventually, get};
use crate::support::namespace::{block_on, isolated};

const METRICS: &str = "127.0.0.1:9466";

fn file(name: &str) -> String {
    let path = format!("{}/deploy/{name}", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn yaml(name: &str) -> Vec<Value> {
    let text = file(name);
    let documents = serde_yaml_ng::Deserializer::from_str(&text);
    documents
        .map(|document| Value::deserialize(document).expect("a document"))
        .collect()
}

/// All texts under a key of this name, at any depth.
fn texts<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a str>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| texts(value, key, found)),
        Value::Object(map) => {
            for (name, value) in map {
                match value.as_str().filter(|_| name == key) {
                    Some(text) => found.push(text),
                    None => texts(value, key, found),
                }
            }
        }
        _ => {}
    }
}

/// The queries of the dashboard, as Prometheus receives them.
fn queries() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&file("dashboard.json")).expect("JSON");
    let mut found = Vec::new();
    texts(&dashboard, "expr", &mut found);
    let plain = |query: &&str| {
        query
            .replace("$instance", ".*")
            .replace("$__rate_interval", "5m")
    };
    found.iter().map(plain).collect()
}

/// The metrics that a query names.
fn names(query: &str) -> impl Iterator<Item = &str> {
    let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("conntrack_"))
}

#[test]
fn dashboard_and_alerts_ask_for_metrics_that_are_there() {
    isolated(|| {
        let arguments = ["--prometheus", METRICS, "--nats", "nats://127.0.0.1:4222"];
        let more = [
            "--otlp",
            "http://127.0.0.1:4318",
            "--top",
            "3",
            "--by",
            "source",
        ];
        let exporter = Process::serve(&[&arguments[..], &more].concat());
        eventually("the exporter is in sync", || {
            (get(METRICS, "/healthz")?.0 == 200).then_some(())
        });
        block_on(async {
            let tuple = Tuple::udp(
                "10.9.9.9:53".parse().unwrap(),
                "10.9.9.8:53".parse().unwrap(),
            );
            let flow = NewFlow::new(tuple.unwrap(), std::time::Duration::from_secs(600));
            connect().create(flow).await.expect("created");
        });
        let page = eventually("the page has all", || {
            let (_, page) = get(METRICS, "/metrics")?;
            (page.contains("conntrack_top_flows{") && page.contains("conntrack_sync_duration"))
                .then_some(page)
        });
        let there: BTreeSet<String> = page
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE "))
            .map(|line| match line.split_once(' ').expect("a type") {
                (name, "counter") => format!("{name}_total"),
                (name, _) => name.to_owned(),
            })
            .collect();
        let queries = queries();
        let alerts = yaml("alerts.yml");
        let mut asked = Vec::new();
        texts(&alerts[0], "expr", &mut asked);
        assert!(queries.len() > 20 && asked.len() > 10);
        asked.extend(queries.iter().map(String::as_str));
        for query in asked {
            assert!(names(query).count() > 0, "{query}");
            for name in names(query) {
                assert!(there.contains(name), "{query}: there is no {name}");
            }
        }
        drop(exporter);
    });
}

#[test]
fn prometheus_understands_the_queries_of_the_dashboard() {
    let scratch = Scratch::new("dashboard");
    let rules: Vec<_> = queries()
        .iter()
        .enumerate()
        .map(|(n, query)| serde_json::json!({"record": format!("query:{n}"), "expr": query}))
        .collect();
    let groups = serde_json::json!({"groups": [{"name": "dashboard", "rules": rules}]});
    let path = scratch.join("rules.yml");
    fs::write(&path, groups.to_string()).expect("written");
    let check = Command::new("promtool")
        .args(["check", "rules", &path])
        .output();
    let check = check.expect("promtool");
    assert!(
        check.status.success(),
        "{}",
        String::from_utf8_lossy(&check.stderr)
    );
}

#[test]
fn the_unit_is_one_of_systemd_and_gives_no_right_but_the_one() {
    let unit = file("conntrack-exporter.service");
    for line in [
        "AmbientCapabilities=CAP_NET_ADMIN",
        "CapabilityBoundingSet=CAP_NET_ADMIN",
        "DynamicUser=yes",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "RestrictAddressFamilies=AF_NETLINK AF_INET AF_INET6 AF_UNIX",
    ] {
        assert!(unit.lines().any(|of| of == line), "{line}");
    }
    assert_eq!(unit.matches("CAP_").count(), 2);
    let scratch = Scratch::new("unit");
    let program = env!("CARGO_BIN_EXE_conntrack-exporter");
    let installed = unit.replace("/usr/local/bin/conntrack-exporter", program);
    assert_ne!(installed, unit);
    let path = scratch.join("conntrack-exporter.service");
    fs::write(&path, installed).expect("written");
    let run = |arguments: &[&str]| {
        let output = Command::new("systemd-analyze")
            .args(arguments)
            .arg(&path)
            .output();
        let output = output.expect("systemd-analyze");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(output.status.success(), "{said}");
        said
    };
    assert_eq!(run(&["verify", "--man=no"]), "");
    // Of 100, which is a service without any restriction.
    run(&["security", "--no-pager", "--offline=true", "--threshold=25"]);
    let environment = unit.lines().find_map(|line| {
        line.strip_prefix("Environment=\"CONNTRACK_EXPORTER=")?
            .strip_suffix('"')
    });
    parses(environment.expect("the arguments").split(' '));
}

#[test]
fn the_daemon_set_gives_no_right_but_the_one() {
    let all = yaml("daemonset.yml");
    let kinds: Vec<_> = all
        .iter()
        .map(|one| one["kind"].as_str().expect("a kind"))
        .collect();
    assert_eq!(kinds, ["Namespace", "ServiceAccount", "DaemonSet"]);
    assert_eq!(all[1]["automountServiceAccountToken"], false);
    let set = &all[2]["spec"];
    assert_eq!(
        set["selector"]["matchLabels"],
        set["template"]["metadata"]["labels"]
    );
    let pod = &set["template"]["spec"];
    assert_eq!(pod["hostNetwork"], true);
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!(pod["serviceAccountName"], all[1]["metadata"]["name"]);
    for absent in ["hostPID", "hostIPC"] {
        assert!(pod[absent].is_null());
    }
    let containers = pod["containers"].as_array().expect("containers");
    assert_eq!(containers.len(), 1);
    let rights = &containers[0]["securityContext"];
    assert_eq!(
        rights["capabilities"],
        serde_json::json!({"drop": ["ALL"], "add": ["NET_ADMIN"]})
    );
    assert_eq!(rights["readOnlyRootFilesystem"], true);
    assert_eq!(rights["allowPrivilegeEscalation"], false);
    assert_eq!(rights["privileged"], false);
    assert_eq!(
        pod["securityContext"]["seccompProfile"]["type"],
        "RuntimeDefault"
    );
    assert!(containers[0]["resources"]["limits"]["memory"].is_string());
    assert!(containers[0]["resources"]["requests"]["cpu"].is_string());
    let port = &containers[0]["ports"][0];
    for (probe, page) in [
        ("livenessProbe", "/metrics"),
        ("readinessProbe", "/healthz"),
    ] {
        assert_eq!(containers[0][probe]["httpGet"]["path"], page);
        assert_eq!(containers[0][probe]["httpGet"]["port"], port["name"]);
    }
    let arguments = containers[0]["args"].as_array().expect("arguments");
    let mut arguments = arguments.iter().map(|word| word.as_str().expect("a word"));
    assert_eq!(arguments.next(), Some("serve"));
    let words: Vec<_> = arguments.collect();
    assert!(words.contains(&format!("--prometheus=0.0.0.0:{}", port["containerPort"]).as_str()));
    // It writes only to a volume; everything else is read-only.
    let mount = containers[0]["volumeMounts"][0]["mountPath"]
        .as_str()
        .expect("a path");
    assert!(words.contains(&format!("--spool={mount}").as_str()));
    parses(words);
}

/// Checks that the program accepts these arguments.
fn parses<'a>(words: impl IntoIterator<Item = &'a str>) {
    let words = ["conntrack-exporter", "serve"].into_iter().chain(words);
    Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{error}"));
}
