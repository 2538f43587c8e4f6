#!/bin/sh
# Fonts for training and measuring on drawn subtitles: Debian packages, unpacked into a folder without installing them.
#   scripts/fetch_fonts.sh FOLDER; export VSWIPE_FONTS=FOLDER
# Which families are kept out of training stands in vswipe/training/textdata_fonts.py.
set -eu
folder=$(mkdir -p "$1" && cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get download \
    culmus fonts-arphic-ukai fonts-arphic-uming fonts-baekmuk fonts-cantarell fonts-comfortaa \
    fonts-crosextra-caladea fonts-crosextra-carlito fonts-dejavu-core fonts-dejavu-extra fonts-farsiweb \
    fonts-freefont-ttf fonts-gargi fonts-gfs-didot fonts-gfs-neohellenic fonts-hack fonts-hosny-amiri fonts-inter \
    fonts-ipafont-gothic fonts-ipafont-mincho fonts-kacst fonts-lato fonts-liberation fonts-liberation2 \
    fonts-linuxlibertine fonts-lohit-deva fonts-motoya-l-cedar fonts-nakula fonts-nanum fonts-noto-cjk \
    fonts-noto-core fonts-open-sans fonts-quicksand fonts-roboto-unhinted fonts-sahadeva fonts-samyak-deva \
    fonts-sarai fonts-sil-scheherazade fonts-takao-gothic fonts-tlwg-garuda-ttf fonts-tlwg-kinnari-ttf \
    fonts-tlwg-laksaman-ttf fonts-tlwg-loma-ttf fonts-tlwg-norasi-ttf fonts-tlwg-sawasdee-ttf \
    fonts-tlwg-umpush-ttf fonts-tlwg-waree-ttf fonts-unfonts-core fonts-urw-base35 fonts-vlgothic \
    fonts-wqy-microhei fonts-wqy-zenhei
for package in *.deb; do
    dpkg -x "$package" "$folder"
done
