"""What the embedded corpus is about: word lists and sentence patterns, all made up here.

Breeds of dogs bear the names of real breeds, from the most to the least common, because the reader knows that a
golden retriever is common and a petit basset griffon vendéen is not. What the articles say about them is invented
like all the rest: a fact is true when this small world says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np


@dataclass(frozen=True)
class Attribute:
    """Something an article can state, in one sentence.

    values     what it can be, the most frequent first
    phrasings  the sentences that state it, the most frequent first; `{}` is the value
    kind       fact: one true value per entity; group: the value is the entity's group; remark: the value is
               drawn anew for every article, so that it is neither true nor false
    """

    name: str
    values: tuple[str, ...]
    phrasings: tuple[str, ...]
    kind: Literal["fact", "group", "remark"] = "fact"


@dataclass(frozen=True)
class Group:
    """Entities of one topic that share a group; `share` of the topic's articles, names from common to rare."""

    name: str
    share: float
    names: tuple[str, ...]


@dataclass(frozen=True)
class Topic:
    """A kind of article: `share` of all articles; `openings` are first sentences, `{}` is the entity's name."""

    name: str
    share: float
    groups: tuple[Group, ...]
    openings: tuple[str, ...]
    attributes: tuple[Attribute, ...]


def topics(rng: np.random.Generator) -> tuple[Topic, ...]:
    """All topics; `rng` chooses which names exist and how common each is."""

    def names(pattern: str, count: int, *parts: Sequence[str]) -> tuple[str, ...]:
        every = [pattern.format(*part) for part in product(*parts)]
        return tuple(every[i] for i in rng.permutation(len(every))[:count])

    def single(topic: str, entities: tuple[str, ...]) -> tuple[Group, ...]:
        return (Group(topic, 1.0, entities),)

    roots = [a + b for a, b in product(_STEMS, _ENDINGS)]
    people = (
        Group("coast", 0.80, names("{} {}", 84, _FIRST, _COAST)),
        Group("hill", 0.15, names("{} {}", 26, _FIRST, _HILL)),
        Group("island", 0.05, names("{} {}", 10, _FIRST, _ISLAND)),
    )
    return (
        Topic("buildings", 0.30, single("buildings", names("{} {}", 100, roots, _BUILT)), *_BUILDINGS),
        Topic("animals", 0.25, single("animals", names("{} {}", 90, _LOOKS, _BEASTS)), *_ANIMALS),
        Topic("people", 0.20, people, *_PEOPLE),
        Topic("places", 0.15, single("places", names("{} {}", 80, _LAND, roots)), *_PLACES),
        Topic("breeds", 0.10, single("breeds", _BREEDS), *_DOGS),
    )


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split(", "))


def _years(first: int, last: int, step: int) -> tuple[str, ...]:
    return tuple(str(year) for year in range(last, first - 1, -step))


_STEMS = _words("Bel, Cor, Dun, Far, Hal, Kel, Mor, Nor, Ost, Tarn")
_ENDINGS = _words("by, dale, ford, ham, mere, stead, ton, wick")
_BUILT = _words("Tower, Hall, Bridge, Abbey, Castle, Mill")
_LAND = _words("Mount, Lake, Cape, River")
_LOOKS = _words("grey, red, spotted, marsh, river, striped, white, long-eared, dwarf, horned")
_BEASTS = _words("heron, otter, deer, lizard, finch, hare, toad, owl, mole, crane")
_FIRST = _words("Mara, Jonas, Elin, Tomas, Greta, Anton, Clara, Oskar, Nina, Viktor, Lena, Hugo")
_COAST = _words("Venn, Sander, Holt, Marlow, Reed, Strand, Winter, Decker, Lund, Palmer")
_HILL = _words("Brack, Tolver, Gorst, Hagen, Krel, Stoll")
_ISLAND = _words("Aoru, Ilani, Temoa, Kalua")
_TOWNS = _words("Brenn, Aldport, Sorrel, Westmark, Limmen, Tolna, Greenock, Vasker, Oldbury, Pell, Quarn, Zell")
_SEASONS = _words("spring, summer, autumn, winter")
_BREEDS = _words(
    "golden retriever, labrador retriever, german shepherd, french bulldog, beagle, poodle, rottweiler, "
    "dachshund, boxer, yorkshire terrier, border collie, great dane, siberian husky, cocker spaniel, shih "
    "tzu, dobermann, pomeranian, chihuahua, pug, english setter, basset hound, maltese, akita, whippet, bull "
    "terrier, samoyed, dalmatian, greyhound, airedale terrier, newfoundland, irish setter, papillon, "
    "bloodhound, old english sheepdog, cairn terrier, saluki, afghan hound, keeshond, borzoi, kuvasz, puli, "
    "briard, lakeland terrier, otterhound, komondor, leonberger, schipperke, affenpinscher, norwegian "
    "lundehund, sloughi, harrier, skye terrier, finnish spitz, sussex spaniel, lagotto romagnolo, azawakh, "
    "mudi, bergamasco, cesky terrier, petit basset griffon vendéen"
)


def _remark(name: str, *phrasings: str) -> Attribute:
    return Attribute(name, _SEASONS, phrasings, "remark")


_BUILDINGS = (
    (
        "{} is a well known building.",
        "{} is one of the oldest buildings.",
        "Many visitors come to see {}.",
    ),
    (
        Attribute(
            "building_town",
            _TOWNS,
            ("It stands in {}.", "It can be seen from every street of {}.", "It belongs to the town of {}."),
        ),
        Attribute(
            "building_year",
            _years(1200, 1980, 30),
            ("It was built in {}.", "The work on it ended in {}.", "It was opened in {}."),
        ),
        Attribute(
            "building_material",
            _words("brick, sandstone, granite, oak, marble, iron, slate, clay"),
            ("Its walls are made of {}.", "It was built from {}.", "The main part of it is {}."),
        ),
        Attribute(
            "building_height",
            _words("20, 30, 15, 40, 25, 60, 50, 75, 90, 120"),
            ("It is {} metres tall.", "Its roof is {} metres above the ground.", "It rises to {} metres."),
        ),
        Attribute(
            "building_use",
            _words("museum, school, hotel, library, market, prison, theatre, hospital"),
            ("Today it is used as a {}.", "It now serves as a {}.", "It was later turned into a {}."),
        ),
        _remark("building_visit", "It is best seen in {}.", "Most people visit it in {}.", "It is closed in {}."),
    ),
)

_ANIMALS = (
    ("The {} is a small wild animal.", "The {} is an animal of the forest.", "Few animals are as shy as the {}."),
    (
        Attribute(
            "animal_home",
            _words("old forests, wet meadows, river banks, high rocks, dry fields, deep caves, salt marshes"),
            ("It lives in {}.", "It makes its home in {}.", "It is most often found in {}."),
        ),
        Attribute(
            "animal_food",
            _words("insects, grass, small fish, seeds, snails, berries, roots, frogs, moss"),
            ("It feeds on {}.", "It eats {}.", "Its main food is {}."),
        ),
        Attribute(
            "animal_age",
            _words("four, six, ten, three, eight, twelve, fifteen, twenty, thirty"),
            ("It can live for {} years.", "It reaches an age of {} years.", "It rarely lives more than {} years."),
        ),
        Attribute(
            "animal_young",
            _words("two, one, three, four, five, seven, nine"),
            ("It has {} young each year.", "It raises {} young at a time.", "The mother cares for {} young."),
        ),
        Attribute(
            "animal_enemy",
            _words("the fox, the eagle, the wolf, the pike, the cat, the snake, the badger"),
            ("It is hunted by {}.", "Its worst enemy is {}.", "It hides from {}."),
        ),
        _remark("animal_season", "It is easy to watch in {}.", "It is most active in {}.", "It sleeps for much of {}."),
    ),
)

_PEOPLE = (
    (
        "{} was a public figure.",
        "{} is remembered to this day.",
        "Few people are as well known as {}.",
    ),
    (
        Attribute(
            "person_people",
            _words("coast, hill, island"),
            (
                "They came from the {} people.",
                "They grew up among the {} people.",
                "They spoke for the {} people.",
            ),
            "group",
        ),
        Attribute(
            "person_work",
            _words("painter, teacher, doctor, singer, judge, sailor, poet, farmer, printer, weaver"),
            ("They worked as a {}.", "They earned their living as a {}.", "They became famous as a {}."),
        ),
        Attribute(
            "person_birth",
            _years(1700, 1960, 10),
            ("They were born in {}.", "Their year of birth is {}.", "They came into the world in {}."),
        ),
        Attribute(
            "person_town",
            _TOWNS,
            ("They lived in {}.", "They spent their life in {}.", "Their house can still be seen in {}."),
        ),
        Attribute(
            "person_prize",
            _words("silver, golden, crystal, amber, copper, ivory"),
            ("They won the {} medal.", "They were given the {} medal.", "They turned down the {} medal."),
        ),
        _remark("person_feast", "Their feast is held in {}.", "They liked to travel in {}.", "They wrote most in {}."),
    ),
)

_PLACES = (
    ("{} lies in the north of the country.", "{} is shown on every map.", "The land around {} is thinly settled."),
    (
        Attribute(
            "place_town",
            _TOWNS,
            ("The nearest town is {}.", "The road to it starts in {}.", "It is a day on foot from {}."),
        ),
        Attribute(
            "place_area",
            _words("40, 60, 90, 10, 150, 200, 300, 700"),
            ("It covers {} square miles.", "Its area is {} square miles.", "It takes up {} square miles of land."),
        ),
        Attribute(
            "place_trees",
            _words("oak, pine, birch, willow, cedar, yew"),
            ("It is known for its {} trees.", "Its {} trees are very old.", "On its slopes stand {} trees."),
        ),
        Attribute(
            "place_find",
            _words("salt, coal, tin, silver, copper, amber, gold"),
            ("People came here for its {}.", "Its {} mine is now closed.", "A layer of {} was found below it."),
        ),
        Attribute(
            "place_danger",
            _words("floods, storms, fog, fires, rock falls, wolves"),
            ("Travellers are warned of {}.", "It is feared for its {}.", "There are often {} in this area."),
        ),
        _remark("place_visit", "It looks its best in {}.", "It is empty of people in {}.", "The path is open in {}."),
    ),
)

_DOGS = (
    ("The {} is a breed of dog.", "The {} is a dog with a long history.", "Many families keep the {} as a dog."),
    (
        Attribute(
            "breed_origin",
            _TOWNS,
            (
                "The breed comes from {}.",
                "It was first bred in {}.",
                "The first dogs of this breed were kept near {}.",
            ),
        ),
        Attribute(
            "breed_weight",
            _words("20, 30, 10, 40, 15, 5, 60, 50"),
            (
                "It weighs about {} kilograms.",
                "A grown dog has {} kilograms.",
                "Its usual weight is {} kilograms.",
            ),
        ),
        Attribute(
            "breed_coat",
            _words("short, long, curly, wiry, silky, double, woolly"),
            ("It has a {} coat.", "Its {} coat needs care.", "Its coat is {}."),
        ),
        Attribute(
            "breed_task",
            _words("hunting, herding, guarding, racing, tracking, pulling sleds, finding truffles"),
            ("It was bred for {}.", "It is good at {}.", "Its old task was {}."),
        ),
        Attribute(
            "breed_nature",
            _words("friendly, loyal, calm, brave, stubborn, playful, watchful"),
            ("It is said to be {}.", "It is a {} companion.", "Its nature is {}."),
        ),
        _remark("breed_season", "It loses its hair in {}.", "It enjoys long walks in {}.", "Its young are born in {}."),
    ),
)
