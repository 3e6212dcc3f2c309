#!/bin/sh
# Installs what lies beside it below a prefix, and takes it away again.
#
#     ./install.sh [PREFIX]              by default ~/.local; /usr/local, as root, is for all users
#     ./install.sh --uninstall [PREFIX]
#
# The plug-in goes into GIMP's profiles, or GIMP's own folder for all users, by `utsushi install`.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
umask 022

uninstall=
case ${1-} in
    --uninstall) uninstall=yes; shift ;;
    -*) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p;}' "$0" >&2; exit 2 ;;
esac
prefix=${1:-$HOME/.local}
case $prefix in
    /*) prefix=${prefix%/} ;;
    *) echo "$0: $prefix: a whole path is needed" >&2; exit 2 ;;
esac
# The units and the entry name the program by its path, which each would have to quote in its way.
case $prefix in
    *[!A-Za-z0-9/._+-]*) echo "$0: $prefix: only letters, digits and / . _ + - are possible in it" >&2; exit 2 ;;
esac
system=
case $prefix in /usr | /usr/local | /opt/*) system=--system ;; esac

[ -x "$here/bin/utsushi" ] ||
    { echo "$0: $here/bin/utsushi is not there: run the script from the folder that the tarball makes" >&2; exit 1; }
files() { (cd "$here" && find bin lib share -type f | sort); }

if [ -n "$uninstall" ]; then
    if [ -x "$prefix/bin/utsushi" ]; then
        systemctl --user disable --now utsushi.socket >/dev/null 2>&1 || true
        "$prefix/bin/utsushi" stop >/dev/null 2>&1 || true
        "$prefix/bin/utsushi" uninstall $system || true
    fi
    # What the tray's "Start at login" has written.
    entry=${XDG_CONFIG_HOME:-$HOME/.config}/autostart/org.utsushi.Utsushi.desktop
    if grep -qsF "\"$prefix/bin/utsushi\"" "$entry"; then rm -f "$entry"; fi
    files | while read -r file; do
        rm -f "$prefix/$file"
        # Folders that nobody else uses, from the innermost out.
        folder=$(dirname "$file")
        while [ "$folder" != . ] && rmdir "$prefix/$folder" 2>/dev/null; do folder=$(dirname "$folder"); done
    done
    echo "removed from $prefix"
    exit
fi

files | while read -r file; do
    mkdir -p "$prefix/$(dirname "$file")"
    # Another name first: a program that runs can't be written into.
    case $file in
        share/systemd/*) sed "s|/usr/bin/utsushi|$prefix/bin/utsushi|" "$here/$file" >"$prefix/$file.new" ;;
        share/applications/*)
            sed "s|^Exec=utsushi|Exec=$prefix/bin/utsushi|; s|^TryExec=utsushi|TryExec=$prefix/bin/utsushi|" \
                "$here/$file" >"$prefix/$file.new" ;;
        *) cp "$here/$file" "$prefix/$file.new" ;;
    esac
    case $file in bin/* | lib/*) chmod 755 "$prefix/$file.new" ;; *) chmod 644 "$prefix/$file.new" ;; esac
    mv "$prefix/$file.new" "$prefix/$file"
done
echo "installed to $prefix"
"$prefix/bin/utsushi" install $system --plugin "$prefix/lib/utsushi/utsushi-gimp" ||
    echo "GIMP has no filter yet: $prefix/bin/utsushi install $system --plugin $prefix/lib/utsushi/utsushi-gimp"
echo "systemctl --user daemon-reload && systemctl --user enable --now utsushi.socket   has systemd start the daemon"
