"""What only people know about a model: the entries of a technical documentation that no run can fill."""

from pathlib import Path

from pydantic import Field

from toolkit.config.files import read_file
from toolkit.config.layers import validate_section
from toolkit.config.settings import Section


def _blank(about: str) -> str | None:
    field: str | None = Field(None, description=about)
    return field


class CardExtra(Section):
    """One text for each entry; a text that is missing or empty leaves the entry blank."""

    intended_purpose: str | None = _blank(
        "What the system is for: the task, its users, the persons it is used on, the place and conditions of use, and "
        "uses that are excluded"
    )
    provider: str | None = _blank("Name and address of the provider, and the trade name and version of the system")
    previous_versions: str | None = _blank("How this version relates to earlier ones, and what they were called")
    interaction: str | None = _blank(
        "Hardware, software and other AI systems that the system works with and that are not part of it, and how"
    )
    update_requirements: str | None = _blank("Which updates of software or firmware are needed, and who installs them")
    forms_on_the_market: str | None = _blank(
        "Each form in which the system is sold or used: a download, an interface for programs, part of a product"
    )
    intended_hardware: str | None = _blank("The hardware that the system is meant to run on")
    product_pictures: str | None = _blank(
        "If the system is part of a product: where to find pictures of its outside, its marking and its inside"
    )
    user_interface: str | None = _blank("What the deployer sees and operates")
    instructions_for_use: str | None = _blank("The instructions for the deployer, or where to find them")
    design_choices: str | None = _blank(
        "The main decisions of the design with their reasons and assumptions, also about the persons concerned, and "
        "the trade-offs made to meet the requirements"
    )
    system_architecture: str | None = _blank("The parts of the system around the model, and how they feed each other")
    data_collection: str | None = _blank(
        "How the data were obtained and selected, by whom, when, under which licence, and what they cover or lack"
    )
    labelling: str | None = _blank("Who labelled the data, by which instructions, and how disagreements were settled")
    label_definitions: str | None = _blank("What each class, or the predicted value, means, with limiting cases")
    oversight_assessment: str | None = _blank(
        "Which human oversight the system needs, and what helps the deployer to interpret its outputs"
    )
    predetermined_changes: str | None = _blank(
        "Changes of the system and its performance that are planned in advance, and how they stay within the "
        "requirements"
    )
    test_responsibility: str | None = _blank("Who is responsible for the tests, with date and signature of each report")
    cybersecurity: str | None = _blank("Measures against attacks on the data, the model, its inputs and its outputs")
    foreseeable_risks: str | None = _blank(
        "Outcomes that are not intended but can be foreseen, and risks to health, safety, fundamental rights and of "
        "discrimination"
    )
    human_oversight: str | None = _blank("The measures of human oversight that are in place, and who carries them out")
    input_requirements: str | None = _blank("What inputs must be like in use, and who makes sure of it")
    metrics_rationale: str | None = _blank("Why the metrics suit this system, and which values are good enough")
    risk_management: str | None = _blank("The risk management system: risks found, measures taken, and what remains")
    lifecycle_changes: str | None = _blank("Relevant changes that the provider made during the lifecycle, with dates")
    harmonised_standards: str | None = _blank(
        "Harmonised standards that were applied, in full or in part; where none was, the solutions used instead"
    )
    declaration_of_conformity: str | None = _blank("Where the EU declaration of conformity is, once it exists")
    post_market_monitoring: str | None = _blank("How the performance of the system in use is evaluated")
    post_market_plan: str | None = _blank("The plan for monitoring after the system was placed on the market")


def read(file: Path) -> CardExtra:
    """Read the texts of a file.

    Args:
        file: A YAML file.

    Raises:
        ConfigError: It cannot be read, or a key or a value is wrong; all are named at once.
    """
    return validate_section(CardExtra, read_file(file), f"the texts in {file}")


def about(key: str) -> str:
    """Return what to write for a key."""
    return str(CardExtra.model_fields[key].description)
