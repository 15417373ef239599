"""The points of Annex IV of Regulation (EU) 2024/1689 in their order, in words of this project.

An entry is filled from the run, or is a blank with a key under which a text for it can be given.
"""

from toolkit.report.dossier import development, general, limits, testing
from toolkit.report.dossier.content import Automatic, Blank, Point

POINTS = (
    Point(
        "1",
        "General description of the system",
        (
            Blank("1(a)", "Intended purpose", "intended_purpose"),
            Blank("1(a)", "Provider", "provider"),
            Automatic("1(a)", "Identification of the model", general.identification),
            Blank("1(a)", "Relation to earlier versions", "previous_versions"),
            Blank("1(b)", "Interaction with other hardware and software", "interaction"),
            Automatic("1(c)", "Versions of software", general.software),
            Blank("1(c)", "Requirements on updates", "update_requirements"),
            Automatic("1(d)", "Files of the model", general.model_files),
            Blank("1(d)", "Forms on the market", "forms_on_the_market"),
            Automatic("1(e)", "Hardware of training and timing", general.hardware),
            Blank("1(e)", "Hardware that is intended", "intended_hardware"),
            Blank("1(f)", "Pictures of the product", "product_pictures"),
            Blank("1(g)", "User interface", "user_interface"),
            Blank("1(h)", "Instructions for use", "instructions_for_use"),
        ),
    ),
    Point(
        "2",
        "Elements of the system and their development",
        (
            Automatic("2(a)", "Steps of the development", development.steps),
            Automatic("2(a)", "Configuration of the training", development.configuration),
            Automatic("2(b)", "Inputs, outputs and objective", development.design),
            Automatic("2(b)", "Decision thresholds and abstention", development.thresholds),
            Blank("2(b)", "Choices of the design", "design_choices"),
            Automatic("2(c)", "Resources of the training", development.compute),
            Automatic("2(c)", "Time of a prediction", development.latency),
            Blank("2(c)", "Architecture of the system", "system_architecture"),
            Automatic("2(d)", "Provenance of the data", development.provenance),
            Automatic("2(d)", "Rows of each class", development.classes),
            Automatic("2(d)", "Preparation of the data", development.preparation),
            Automatic("2(d)", "Quality of the labels", development.label_quality),
            Blank("2(d)", "Collection of the data", "data_collection"),
            Blank("2(d)", "Labelling", "labelling"),
            Blank("2(d)", "Definitions of the labels", "label_definitions"),
            Automatic("2(e)", "Explanations of predictions", testing.explanations),
            Blank("2(e)", "Human oversight that is needed", "oversight_assessment"),
            Blank("2(f)", "Changes that are planned", "predetermined_changes"),
            Automatic("2(g)", "Rows of the test", testing.held_out),
            Automatic("2(g)", "Metrics", testing.metrics),
            Automatic("2(g)", "Baselines", testing.baselines),
            Automatic("2(g)", "Figures by class", testing.by_class),
            Automatic("2(g)", "Further figures of this target", testing.particulars),
            Automatic("2(g)", "Calibration", testing.calibration),
            Automatic("2(g)", "Operating points", testing.operating_points),
            Automatic("2(g)", "Figures by group of rows", testing.slices),
            Automatic("2(g)", "Near-duplicates between test and train", testing.near_duplicates),
            Automatic("2(g)", "Robustness", testing.robustness),
            Automatic("2(g)", "Bias", testing.bias),
            Automatic("2(g)", "Groups of people in a column", testing.fairness),
            Automatic("2(g)", "Records of the tests", testing.records),
            Blank("2(g)", "Responsibility for the tests", "test_responsibility"),
            Blank("2(h)", "Cybersecurity", "cybersecurity"),
        ),
    ),
    Point(
        "3",
        "Monitoring, functioning and control",
        (
            Automatic("3", "Performance and its limits", testing.statements),
            Automatic("3", "Shortcomings that the report found", limits.shortcomings),
            Blank("3", "Risks and unintended outcomes", "foreseeable_risks"),
            Blank("3", "Measures of human oversight", "human_oversight"),
            Automatic("3", "Inputs that the model reads", limits.inputs),
            Blank("3", "Requirements on inputs", "input_requirements"),
        ),
    ),
    Point(
        "4",
        "Suitability of the metrics",
        (
            Automatic("4", "Metrics and intervals", limits.metric_definitions),
            Blank("4", "Why these metrics", "metrics_rationale"),
        ),
    ),
    Point("5", "Risk management", (Blank("5", "Risk management system", "risk_management"),)),
    Point(
        "6",
        "Changes during the lifecycle",
        (
            Automatic("6", "Changes and evaluations on record", general.earlier),
            Blank("6", "Changes by the provider", "lifecycle_changes"),
        ),
    ),
    Point("7", "Harmonised standards", (Blank("7", "Standards and other solutions", "harmonised_standards"),)),
    Point("8", "Declaration of conformity", (Blank("8", "Where it is", "declaration_of_conformity"),)),
    Point(
        "9",
        "Performance after the system is on the market",
        (
            Blank("9", "Evaluation in use", "post_market_monitoring"),
            Blank("9", "Monitoring plan", "post_market_plan"),
        ),
    ),
)
