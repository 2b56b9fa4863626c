"""The local web page: training, playing with what was trained, and a laboratory of small GANs in the browser."""
