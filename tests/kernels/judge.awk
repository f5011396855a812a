# Reads the report of one machine and prints a summary. Exits with 1 if a result is not the expected one. names: the
# tests that must run. rules: one per line, KERNELS | PREFIX | REASON.

function number(version,    part) {
    split(version, part, ".")
    return part[1] * 1000 + part[2]
}

# Returns 1 if this kernel is one of `kernels`: `<6.0`, `>=7.3`, both with a space between, or `all`.
function is_one_of(kernels,    condition, count, i) {
    count = split(kernels, condition, " ")
    for (i = 1; i <= count; i++) {
        if (condition[i] ~ /^</ && number(release) >= number(substr(condition[i], 2))) return 0
        if (condition[i] ~ /^>=/ && number(release) < number(substr(condition[i], 3))) return 0
    }
    return 1
}

# The rule for this name, or 0.
function rule_for(name,    i) {
    for (i = 1; i <= rule_count; i++)
        if (index(name, prefix[i]) == 1 && is_one_of(kernels[i])) return i
    return 0
}

function wrong(text) {
    printf "   WRONG: %s\n", text
    bad = 1
}

BEGIN {
    while ((getline line <rules) > 0) {
        if (line ~ /^ *(#|$)/) continue
        split(line, field, / *\| */)
        rule_count++
        kernels[rule_count] = field[1]
        prefix[rule_count] = field[2]
        reason[rule_count] = field[3]
    }
    while ((getline line <names) > 0) due[line] = 1
}

{ sub(/ +$/, "") }
/^kernel / { release = $2 }
/^module .* missing$/ { missing["module " $2] = 1 }
/^machine: / { died = $0 }
/^seconds / { seconds = $2 }
/^end / { ended = 1 }
/^test .*\.\.\. (ok|FAILED|ignored)/ { outcome[$2] = $NF == "ok" ? "ok" : $NF == "FAILED" ? "failed" : "ignored" }
/^failures:$/ { telling = 1 }
telling { told = told "      " $0 "\n" }

END {
    printf "\n== %s: Linux %s\n", suite, release
    if (died) wrong(died)
    if (!ended) wrong("the tests did not finish")
    for (name in missing) outcome[name] = "failed"
    for (name in due) if (!(name in outcome)) {
        if (rule_for(name)) outcome[name] = "failed"
        else wrong(name " did not run")
    }
    for (name in outcome) {
        rule = rule_for(name)
        if (name !~ /^module /) { ran++; count[outcome[name]]++ }
        if (outcome[name] == "ignored") wrong(name " was skipped")
        else if (outcome[name] == "failed" && !rule) wrong(name " failed")
        else if (outcome[name] == "failed") { expected[rule] = expected[rule] " " name; met[rule]++ }
        else if (rule) wrong(name " passed, but a rule says that it fails: " reason[rule])
    }
    for (rule = 1; rule <= rule_count; rule++)
        if (met[rule]) printf "   %d fail as expected: %s:%s\n", met[rule], reason[rule], expected[rule]
    printf "   %d ran, %d passed, %d failed, %d s\n", ran, count["ok"], count["failed"], seconds
    if (bad && told) printf "%s", told
    exit bad
}
