"""Native histograms: what they are, what is made of them, how tests write them."""
