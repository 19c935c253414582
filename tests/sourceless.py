"""Public names that need no source: they carry no formula, scheme or estimator of their own, or hold what one returned.

A name is put here on purpose; `documentation.of_sources` tells of one that is gone, or whose docstring has a source.
"""

_BY_ROOM = {
    "chains": "Varying WholeState refuse_if_changing refuse_late",
    "diffusions": "Iterations refuse_if_changing",
    "engine": """Compiled Reduced Tuning as_leaves block_unit check_chain check_first_step integrate observation_steps
        observe plan reduce refuse_transformations resolve_ids run_population run_until_stopped seed_key seed_number
        shard shard_apply simulate start_states steps_until trajectories_of tuned tuning_of""",
    "interoperation": "to_diffrax to_samples",
    "landscapes": """CriticalPoint DegeneratePoint Eigenpairs Landscape Line Polished SaddleConnection SaddleExit
        check_landscape check_minima""",
    "noise": "check_noise",
    "passage": "FirstPassage Watch",
    "plotting": """batch_figure comparison digits_figure escape_times landscape landscape_map minimum_action_path
        occupancy paths phase_diagram reduced survival survival_curves sweep_figure time_in_basins training_law
        transitions width_figure""",
    "random": "bridge_uniforms group_words increments_of seed_key seed_number short_name stream_keys",
    "reference": "Grid GridFunction",
    "reproduction": "all_claims judged_by register sensible_processes",
    "results": "Provenance Verdict",
    "stationary": "Histogram Occupancy RegionBasins",
    "statistics": "Estimate add_estimate",
    "study": """Store all_diverged cell_dataset combine export init packaged packaged_text parse plan read_changes
        redraw register report report_html resume rows run status worker""",
    "training": "Loss Steps Training laws_and_networks train verdicts",
}
SOURCELESS = {room: names.split() for room, names in _BY_ROOM.items()}
