"""Point 2(a) to 2(d): how the model was made, and from which data."""

from collections.abc import Sequence

from toolkit.report.dossier.content import Block, Cell, Evidence, Gap, Rows, Table, Text
from toolkit.report.dossier.layout import evaluate, facts, gap, leaves, listing, written
from toolkit.report.dossier.traces import Figure, Node, duration, estimate, exact, measure, plain

_PROMISES = "validation_rows"  # in model/toolkit.json: scores by which predictions can be withheld


def steps(evidence: Evidence) -> Sequence[Block]:
    """State from which model, by which method and by which command the model was trained."""
    training, config = evidence.report["training"], evidence.config
    few = training["few_labels"]
    probe = training["linear_probe"]
    return written(
        facts(
            ("Command", plain(evidence.run["command"])),
            ("Starts from", plain(evidence.run["model"])),
            ("Model selection", plain(training["model_choice"])),
            ("Trained from random weights", plain(config["loading"]["from_scratch"])),
            ("Objective", plain(training["objective"])),
            ("Adapter", plain(config["adapter"]["kind"])),
            ("Frozen layers", plain(config["training"]["freeze"])),
            ("Head initialised from a linear probe", plain(probe["installed"])),
            ("Training method, chosen by cross-validation", plain(few["chosen"])),
            ("Reason for the training method", plain(few["reason"])),
            ("Texts without labels for pretraining", plain(few["pretraining"]["texts"])),
            ("Trained parameters", plain(training["trainable_parameters"])),
        ),
        Text("Software of other providers that was used is listed with its versions under point 1(c)."),
    )


def configuration(evidence: Evidence) -> Sequence[Block]:
    """List the course of the training, and the complete configuration."""
    training = evidence.report["training"]
    names = {
        "optimizer": "Optimizer",
        "learning_rate": "Peak learning rate",
        "batch_size": "Batch size",
        "epochs": "Epochs",
        "steps": "Steps",
        "best_step": "Step of the weights that were kept",
        "stopped_early": "Stopped early",
        "precision": "Precision",
    }
    automatic: Rows = [[key, plain(node)] for key, node in training["automatic"].items()]
    return written(
        facts(*((title, plain(training[name])) for name, title in names.items()), ("Seed", exact(training["seed"]))),
        Table(["Value that was derived", "From"], automatic),
        Table(["Key of the configuration", "Value"], [[key, exact(n)] for key, n in leaves(evidence.config)]),
    )


def design(evidence: Evidence) -> Sequence[Block]:
    """State what the model reads and predicts, and what its training optimises."""
    target, training = evidence.task.target.kind, evidence.report["training"]
    inputs = ", ".join(f"{column.role} ({column.kind.nouns[0]})" for column in evidence.task.inputs)
    rows: list[tuple[str, Cell]] = [("Reads", inputs), ("Predicts", target.title)]
    return written(
        facts(
            *rows,
            ("Training minimises", plain(training["objective"])),
            ("Weights are selected by", plain(evidence.config["training"]["best_metric"])),
            ("First metric of the report", plain(evidence.evaluation["metrics"][0]["title"])),
        ),
        listing("Classes", evidence.evaluation["labels"]),
    )


def thresholds(evidence: Evidence) -> Sequence[Block] | Gap:
    """List thresholds and other values by which outputs become decisions, and whether answers can be withheld."""
    card = evidence.card["calibration"]
    kept = [(key, node) for key, node in leaves(card) if not key.startswith(_PROMISES) and key != "thresholds"]
    kept = [(key, node) for key, node in kept if not isinstance(node.value, list | dict)]
    names = [str(name) for name in card["classes"].value or []]
    by_class: Rows = [
        [name, measure(node, "score")] for name, node in zip(names, card["thresholds"], strict=False) if node
    ]
    points: Rows = [
        [str(point["name"].value), measure(point["threshold"], "score")] for point in card["screening"]["points"]
    ]
    blocks = written(
        Table(["Stored with the model", "Value"], [[key, exact(node)] for key, node in kept if node]),
        Table(["Class", "Probability from which on it is predicted"], by_class),
        Table(["Operating point", "Threshold of the probability"], points),
    )
    if card[_PROMISES]:
        blocks.append(
            Text(
                "The model keeps scores of validation rows: `toolkit predict --max-error` withholds answers below a "
                "score that keeps an error rate, and `--sets` writes sets of classes. Both are options of a prediction."
            )
        )
    return blocks or Gap("No thresholds are stored with the model: its output is the prediction.")


def compute(evidence: Evidence) -> Sequence[Block]:
    """State the resources that training took, as far as they were recorded."""
    training, cost = evidence.report["training"], evidence.section("cost")
    joules = [
        (f"Energy of a prediction in joules, batches of {row['batch_size'].value:g}", plain(row["joules_per_example"]))
        for row in cost["timings"]
    ]
    rows = facts(
        ("Duration of training", duration(training["seconds"])),
        ("Device", plain(training["device"])),
        ("Processes", plain(training["processes"])),
        ("Examples per second", plain(training["samples_per_second"])),
        ("Time budget", duration(training["budget"]["seconds"])),
        ("Duration of pretraining", duration(training["few_labels"]["pretraining"]["seconds"])),
        ("Counter of energy", plain(cost["energy"])),
        *joules,
    )
    text = "The energy of training is not recorded."
    if not cost:
        text += " The time and, where the machine has a counter, the energy of a prediction are measured by "
        text += f"`{evaluate(evidence, '--checks cost')}`."
    return [rows, Text(text)]


def latency(evidence: Evidence) -> Sequence[Block] | Gap:
    """State how long predictions take."""
    cost = evidence.section("cost")
    rows: Rows = [
        [f"{row['batch_size'].value:g}", _milliseconds(row["p50_ms"]), _milliseconds(row["p99_ms"])]
        for row in cost["timings"]
        if row["batch_size"] and row["p50_ms"]
    ]
    if not rows:
        return gap(evidence, "cost", "The time of a prediction", "--checks cost")
    return written(
        facts(("Device", plain(cost["device"])), ("Threads", plain(cost["threads"])), ("Timed", plain(cost["timed"]))),
        Table(["Examples in a pass", "Median", "99th percentile"], rows),
    )


def _milliseconds(node: Node) -> Figure:
    return Figure(f"{node.value:.1f} ms", node) if node else plain(node)


def provenance(evidence: Evidence) -> Sequence[Block]:
    """State where the data are from, and how many rows each part has."""
    data = evidence.report["data"]
    parts: Rows = [
        [str(part["name"].value), plain(part["rows"]), plain(part["given"])] for part in data["splits"] if part["name"]
    ]
    return written(
        facts(
            ("Source", plain(data["source"])),
            ("Loaded from", plain(data["origin"])),
            ("Fingerprint of the rows", plain(data["fingerprint"])),
            ("Divided by the time in", plain(data["time"]["column"])),
            ("Training rows until", plain(data["time"]["train_until"])),
            ("Test rows from", plain(data["time"]["test_from"])),
        ),
        Table(["Part", "Rows", "Came with the data"], parts),
    )


def classes(evidence: Evidence) -> Sequence[Block] | Gap:
    """Count the rows of each class in each part."""
    splits = [part for part in evidence.report["data"]["splits"] if part["classes"]]
    if not splits:
        return Gap("Rows are not counted by class: the target has none, or has them for parts of a row.")
    names = list(dict.fromkeys(name for part in splits for name, _ in part["classes"].items()))
    rows: Rows = [
        [name, str(part["name"].value), plain(part["classes"][name])]
        for name in names
        for part in splits
        if part["classes"][name]
    ]
    return [Table(["Class", "Part", "Rows"], rows)]


def preparation(evidence: Evidence) -> Sequence[Block]:
    """State which rows were left out or changed before training."""
    data, training, settings = evidence.report["data"], evidence.report["training"], evidence.config["data"]
    counts: Rows = [[name.replace("_", " "), plain(node)] for name, node in data["counts"].items()]
    return written(
        facts(
            ("Columns that were read", plain(settings["columns"])),
            ("Rows selected by", plain(settings["where"])),
            ("Labels renamed or left out", plain(settings["label_map"])),
            ("Duplicates are removed from train", plain(settings["deduplicate"])),
            ("Most tokens of an example", plain(settings["max_length"])),
            ("Mean tokens of an example", plain(training["tokens_per_example"])),
            ("Training examples that were truncated", plain(training["truncated"])),
        ),
        Table(["Rows that were found and removed", "Number"], counts),
        listing("Notes on the data", data["notes"]),
    )


def label_quality(evidence: Evidence) -> Sequence[Block] | Gap:
    """Estimate how many labels are wrong."""
    section = evidence.section("label_errors")
    if not section:
        return gap(evidence, "label_errors", "The share of wrong labels")
    noise, precision = section["noise"], section["noise"]["precision"]
    rows = facts(
        ("Labels that are probably wrong (confident learning)", plain(section["doubted"])),
        ("Share of wrong labels, lower end of the 95 % interval", measure(noise["low"], "fraction")),
        ("Share of wrong labels, by maximum likelihood", measure(noise["rate"], "fraction")),
        ("Share of wrong labels, upper end of the 95 % interval", measure(noise["high"], "fraction")),
        ("Of the suspect labels are expected to be wrong", estimate(precision, "fraction")),
    )
    return [rows, Text("The estimates hold for the rows of the evaluation; a model with low accuracy finds no errors.")]
