"""Every knob: one file a group in `conf/`, composed by Hydra, validated once, frozen ever after."""
