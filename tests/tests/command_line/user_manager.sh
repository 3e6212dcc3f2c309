# Runs a command as a user for whom a real systemd manages units, in a root of its own.
#
#     user_manager.sh ROOT FOLDER COMMAND...     exit code 77: it can't be had here, and standard error says why
#
# ROOT: a folder with a whole Debian, or / for this one. FOLDER: what the user owns, and finds as /home/user.
# Needs root, and a hierarchy of control groups (version 2), wherever it is mounted. All of it ends with this script.
set -u
root=$1 folder=$2 user=4711
shift 2
cannot() { echo "$*" >&2; exit 77; }

[ "$(id -u)" = 0 ] || cannot "only root can begin a session"
[ -x "$root/usr/lib/systemd/systemd" ] || cannot "$root: systemd is not installed"
groups=$(findmnt --noheadings --first-only --types cgroup2 --output TARGET) || cannot "no control groups (version 2)"
group=$groups/utsushi-test-$$
mkdir "$group" "$group/user" 2>/dev/null || cannot "$groups: no control group can be made"
# What has just ended leaves its group a moment later.
end() {
    local round
    for round in 1 2 3 4 5 6 7 8 9 10; do
        find "$group" -depth -type d -exec rmdir {} + 2>/dev/null
        [ -d "$group" ] || return 0
        sleep 0.2
    done
}
trap end EXIT
chown -R "$user:$user" "$group/user" "$folder"

# A root that is changed for good (pivot_root): in another one, no user could have namespaces.
unshare --mount --pid --fork --kill-child bash -c '
    set -e
    root=$1 folder=$2 user=$3 group=$4
    shift 4
    echo $$ >"$group/user/cgroup.procs"
    mount --rbind "$root" /mnt
    mount --make-rprivate /mnt
    cd /mnt
    [ "$root" != / ] || umount -R proc sys dev run 2>/dev/null || true
    mount -t proc proc proc
    mount --rbind /dev dev
    mount --rbind /sys sys
    umount -R sys/fs/cgroup 2>/dev/null || umount -l sys/fs/cgroup
    mount -t cgroup2 cgroup2 sys/fs/cgroup
    for place in run tmp var/tmp home; do mount -t tmpfs -o mode=1777 tmpfs $place; done
    # What the system has that runs systemd.
    mkdir -p run/systemd/system run/user home/user home/old
    mkdir -m 555 run/systemd/mount-rootfs
    install -d -m 700 -o "$user" -g "$user" "run/user/$user"
    mount --rbind "$folder" home/user
    pivot_root . home/old
    cd /
    umount -l /home/old
    rmdir /home/old
    exec setpriv --reuid "$user" --regid "$user" --clear-groups env -i HOME=/home/user USER=user LC_ALL=C.UTF-8 \
        PATH=/usr/bin:/bin XDG_RUNTIME_DIR="/run/user/$user" "$@"
' - "$root" "$folder" "$user" "$group" bash -c '
    cd
    /usr/lib/systemd/systemd --user --log-target=console >systemd.log 2>&1 &
    for round in $(seq 100); do [ -e "$XDG_RUNTIME_DIR/systemd/private" ] && break; sleep 0.1; done
    systemctl --user is-system-running --wait >/dev/null || { cat systemd.log >&2; exit 77; }
    "$@"
' - "$@"
