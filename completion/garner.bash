# SPDX-License-Identifier: GPL-3.0-or-later
# Completion of garner for bash: commands, their options, libraries, paths
# within a library, what is in its trash, and mountpoints. Needs nothing else.

declare -gA _garner_options=(
	[init]='--chunker --chunk-min --chunk-avg --chunk-max --hash --s3 --endpoint --region --profile --style --ca-file --encryption'
	[mount]='-f --foreground -o --options -d --debug'
	[umount]='-l --lazy'
	[status]='-j --json'
	[sync]='-t --timeout'
	[push]='-w --wait -t --timeout -p --pause -r --resume'
	[pull]='-j --json'
	[ls]='-l --long -R --recursive -0 --zero -j --json'
	[stat]='-j --json'
	[mkdir]='-p --parents'
	[cp]='-r --recursive -n --no-clobber'
	[mv]='-n --no-clobber'
	[rm]='-r --recursive -f --force'
	[restore]='-a --all -r --recursive -j --json'
	[purge]='-a --all -j --json'
	[history]='-j --json'
	[du]='-b --bytes -j --json'
	[import]='-i --into -m --move -J --jobs -n --dry-run -j --json'
	[export]='-b --to-bucket -j --json'
	[evict]='-j --json'
	[pin]='-j --json'
	[unpin]=''
	[gc]='-b --bucket -n --dry-run -g --grace -j --json'
	[backup]='--take-over -t --timeout -j --json'
	[recover]='--endpoint --region --profile --style --ca-file --encryption --older -j --json'
	[fsck]='-d --deep -r --repair -j --json'
	[doctor]='-j --json'
)

_garner_commands='init mount umount status sync push pull ls stat mkdir cp mv rm restore purge history du import export evict pin unpin gc backup recover fsck doctor'

_garner_mount_options='ro rw remount allow_other noallow_other relatime noatime
	strictatime uid= gid= umask= dev nodev suid nosuid exec noexec acl noacl writeback
	nowriteback threads= nonempty sync dirsync debug'

# Options whose argument is the next word.
_garner_takes_argument() {
	case $1:$2 in
	init:--* | mount:-o | mount:--options | sync:-t | sync:--timeout | push:-t | push:--timeout | gc:-g | gc:--grace) return 0 ;;
	backup:-t | backup:--timeout) return 0 ;;
	recover:-j | recover:--json | recover:--older) ;;
	recover:--*) return 0 ;;
	export:-b | export:--to-bucket) return 0 ;;
	import:-i | import:--into | import:-J | import:--jobs) return 0 ;;
	esac
	return 1
}

# A word of the command line as the shell would hand it over.
_garner_plain() {
	local word=$1
	case $word in
	[\"\']*) word=${word#?} && word=${word%[\"\']} ;;
	*) word=${word//\\/} ;;
	esac
	[[ $word == \~/* ]] && word=$HOME/${word#\~/}
	printf '%s' "$word"
}

# Adds what begins so, if it does.
_garner_add() {
	[[ $1 == "$2"* ]] && COMPREPLY+=("$1")
}

# Paths within the library $1 that begin with $2; $3 folders: those alone.
_garner_paths() {
	local above="" line name LC_ALL=C # names are bytes
	[[ $2 == */* ]] && above=${2%/*}/
	while IFS= read -r -d '' line; do
		[[ $line =~ ^.[^\ ]*(\ +[0-9]+){4}\ [^\ ]+\ [^\ ]+\ .{10}(.*)$ ]] || continue
		name=${BASH_REMATCH[2]}
		case $line in
		d*) name+=/ ;;
		*) [[ $3 == folders ]] && continue ;;
		esac
		_garner_add "$above$name" "$2"
	done < <(garner ls -l -0 "$1" "${above:-/}" 2>/dev/null)
	[[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == */ ]] && compopt -o nospace
	compopt -o filenames 2>/dev/null
}

_garner_trash() {
	local line
	while IFS= read -r line; do
		[[ $line =~ ^\ *[0-9]+\ +[0-9]+\ \ (/.*)$ ]] && _garner_add "${BASH_REMATCH[1]}" "$2"
	done < <(garner restore "$1" 2>/dev/null)
	compopt -o filenames 2>/dev/null
}

_garner_mountpoints() {
	local at type
	while read -r _ at type _; do
		[[ $type == fuse.garner ]] && printf -v at '%b' "$at" && _garner_add "$at" "$1"
	done </proc/self/mounts
	_garner_files d "$1"
}

# Files outside of the library: $1 d for folders, f for all.
_garner_files() {
	local name
	while IFS= read -r name; do
		COMPREPLY+=("$name")
	done < <(compgen "-$1" -- "$2")
	compopt -o filenames 2>/dev/null
}

_garner_argument() {
	local word
	case $1 in
	--chunker) word='fastcdc fixed' ;;
	--hash) word='sha256 blake3' ;;
	--chunk-*) word='64KiB 256KiB 1MiB 4MiB 8MiB' ;;
	-i | --into)
		_garner_paths "$3" "$2" folders
		return
		;;
	-J | --jobs) word='1 2 4 8' ;;
	-t | --timeout | -g | --grace) word='30s 10m 1h' ;;
	-o | --options)
		local before=""
		[[ $2 == *,* ]] && before=${2%,*},
		for word in $_garner_mount_options; do
			_garner_add "$before$word" "$2"
		done
		compopt -o nospace
		return
		;;
	esac
	for word in $word; do
		_garner_add "$word" "$2"
	done
}

# Operand number $2 of command $1; $3 is the library when it is known, $4 what is there.
_garner_operand() {
	case $1:$2 in
	umount:0) _garner_mountpoints "$4" ;;
	umount:*) ;;
	recover:0) ;;
	recover:1) _garner_files d "$4" ;;
	backup:[1-9]* | recover:*) ;;
	*:0 | mount:1) _garner_files d "$4" ;;
	mount:* | init:* | status:* | sync:* | push:* | gc:* | fsck:* | doctor:*) ;;
	restore:* | purge:*) _garner_trash "$3" "$4" ;;
	mkdir:*) _garner_paths "$3" "$4" folders ;;
	import:*) _garner_files f "$4" ;;
	export:*)
		_garner_paths "$3" "$4"
		[[ $2 -gt 1 ]] && _garner_files f "$4"
		;;
	history:1 | pull:* | evict:* | pin:* | unpin:* | ls:* | stat:* | cp:* | mv:* | rm:* | du:*) _garner_paths "$3" "$4" ;;
	esac
}

_garner() {
	local cur prev sub=${COMP_WORDS[1]} library="" word i operands=0
	COMPREPLY=()
	cur=$(_garner_plain "${COMP_WORDS[COMP_CWORD]}")
	prev=${COMP_WORDS[COMP_CWORD - 1]}
	if [[ $COMP_CWORD -eq 1 ]]; then
		for word in $_garner_commands --help --version; do
			_garner_add "$word" "$cur"
		done
		return
	fi
	for ((i = 2; i < COMP_CWORD; i++)); do
		if _garner_takes_argument "$sub" "${COMP_WORDS[i]}"; then
			i=$((i + 1))
		elif [[ ${COMP_WORDS[i]} != -* ]]; then
			[[ $operands -eq 0 ]] && library=$(_garner_plain "${COMP_WORDS[i]}")
			operands=$((operands + 1))
		fi
	done
	if _garner_takes_argument "$sub" "$prev"; then
		_garner_argument "$prev" "$cur" "$library"
		return
	fi
	if [[ $cur == -* ]]; then
		for word in ${_garner_options[$sub]} --help; do
			_garner_add "$word" "$cur"
		done
		return
	fi
	_garner_operand "$sub" "$operands" "$library" "$cur"
}

complete -F _garner garner
