// Colours that are told apart, in light and in dark.

/** The first is the commonest class's. After Okabe and Ito, with lighter and darker kin. */
const LIGHT = ['#0072b2', '#d55e00', '#009e73', '#b5179e', '#8a6d00', '#56b4e9', '#e0559a', '#6a3d9a', '#5b7f00', '#7f4a1e', '#00798c', '#c1121f'];
const DARK = ['#5eb3ff', '#ff9248', '#38d39f', '#f06fdc', '#e5c93f', '#9fd8ff', '#ff8fbd', '#b99cff', '#b4dd4a', '#d9a679', '#4fd7e6', '#ff7b7b'];
const OTHER = { light: '#8f99a3', dark: '#6d7b89' };

export const SHADES = LIGHT.length;

const isDark = () => matchMedia('(prefers-color-scheme: dark)').matches;

/** The colour of a rank, of -1 and beyond the last that of everything else. */
export function shade(rank) {
  const colours = isDark() ? DARK : LIGHT;
  return colours[rank] ?? OTHER[isDark() ? 'dark' : 'light'];
}

/** Red, green and blue from 0 to 1. */
export const parts = (colour) => [1, 3, 5].map((place) => parseInt(colour.slice(place, place + 2), 16) / 255);
